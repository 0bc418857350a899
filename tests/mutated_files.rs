//! A ledger and its companions, damaged at random and on purpose: whatever it is then, opening and using it is a
//! status, in bounded time and memory.
//!
//! `LEDGER_FILES_CASES` says how many are tried of each kind, `LEDGER_TEST_SEED` which. What was found is kept,
//! and its folder named.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::jury::{self, Jury};
use common::{Place, Random};
use simledger::Status;

const PAGE: usize = 4096;

/// Files by the ends of their names, and what is in them.
type Files = BTreeMap<&'static str, Vec<u8>>;

#[test]
#[ignore = "a process that tries ledgers out"]
fn tries_ledgers_out() {
    jury::try_out();
}

fn cases() -> u64 {
    const DEFAULT: u64 = 2;
    std::env::var("LEDGER_FILES_CASES").map_or(DEFAULT, |cases| cases.parse().expect("a number of cases"))
}

fn read_all(place: &Place, ends: &[&'static str]) -> Files {
    let read =
        |end: &&'static str| fs::read(place.path(&format!("ledger.db{end}"))).ok().map(|bytes| (*end, bytes));
    ends.iter().filter_map(read).collect()
}

fn lines(from: usize, count: usize) -> String {
    let line = |i: usize| {
        let (node, filling) = (i % 5, "x".repeat(i * 37 % 600));
        format!(
            r#"{{"timestamp":{i},"node_id":"n{node}","features":{{"rate":[{i},"{filling}"]}},"confidence":0.5}}"#
        )
    };
    (from..from + count).map(line).collect::<Vec<_>>().join("\n")
}

/// A ledger that was closed.
fn closed(commit: &str) -> Files {
    let place = Place::new();
    let ledger = place.open(&[("commit", commit)]);
    ledger.append_many_json(&lines(0, 300)).unwrap();
    ledger.cleanup_before_id(20).unwrap();
    ledger.optimize().unwrap();
    ledger.close().unwrap();
    read_all(&place, &[""])
}

/// A ledger whose processes died: some entries are in the WAL, and with a commit log some in that alone.
fn left(commit: &str) -> Files {
    let place = Place::new();
    let ledger = place.open(&[("commit", commit), ("log_bytes", "65536")]);
    ledger.append_many_json(&lines(0, 100)).unwrap();
    ledger.flush().unwrap();
    let other = place.sqlite();
    if commit == "log" {
        // Nothing is folded meanwhile.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
    }
    ledger.append_many_json(&lines(100, 20)).unwrap();
    ledger.append_json(&lines(120, 1)).unwrap();
    let files = read_all(&place, &["", "-wal", "-shm", "-log", "-wake"]);
    assert_eq!(files.len(), 4);
    drop(other);
    files
}

/// A file whose last transaction is to be rolled back, by a journal that another program left.
fn interrupted() -> Files {
    let place = Place::new();
    let keys = [("journal_mode", "DELETE"), ("guards", "off"), ("commit", "sqlite")];
    let ledger = place.open(&keys);
    ledger.append_many_json(&lines(0, 200)).unwrap();
    ledger.close().unwrap();
    let other = place.sqlite();
    other
        .execute_batch("PRAGMA cache_size = 2; BEGIN; UPDATE ledger SET features = upper(features)")
        .unwrap();
    let files = read_all(&place, &["", "-journal"]);
    assert_eq!(files["-journal"][..8], JOURNAL_MAGIC);
    drop(other);
    files
}

const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// All kinds of files that there are to be damaged.
fn kinds() -> Vec<(&'static str, Files)> {
    vec![
        ("closed, commit = sqlite", closed("sqlite")),
        ("closed, commit = log", closed("log")),
        ("left, commit = sqlite", left("sqlite")),
        ("left, commit = log", left("log")),
        ("interrupted", interrupted()),
    ]
}

/// Tries the files out, to be written and to be read only; what is wrong.
fn judge(jury: &mut Jury, files: &Files) -> Result<Option<Status>, String> {
    let mut opened = None;
    for read_only in ["true", "false"] {
        let place = Place::new();
        for (end, bytes) in files {
            fs::write(place.path(&format!("ledger.db{end}")), bytes).unwrap();
        }
        match jury.hear(&place.path("ledger.db"), &[("read_only", read_only)]) {
            Ok(verdict) => opened = verdict.status("open"),
            Err(why) => return Err(format!("read_only = {read_only}: {why}")),
        }
    }
    Ok(opened)
}

/// Keeps what was found where it can be looked at.
fn keep(files: &Files, number: usize) -> String {
    let folder = std::env::temp_dir().join(format!("simledger-found-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (end, bytes) in files {
        fs::write(folder.join(format!("ledger.db{end}")), bytes).unwrap();
    }
    folder.display().to_string()
}

#[test]
fn whatever_is_damaged_is_a_status() {
    let (mut random, mut jury, kinds) = (Random::new(), Jury::default(), kinds());
    let (mut tried, mut opened, mut found) = (0, 0, Vec::new());
    for (name, whole) in &kinds {
        assert_eq!(judge(&mut jury, whole), Ok(Some(Status::Ok)), "{name}, undamaged");
        for _ in 0..cases() {
            let (mut files, mut done) = (whole.clone(), Vec::new());
            for _ in 0..1 + random.below(3) {
                let others = &kinds[random.below(kinds.len() as u64) as usize].1;
                done.push(damage(&mut random, &mut files, others));
            }
            tried += 1;
            match judge(&mut jury, &files) {
                Ok(status) => opened += usize::from(status == Some(Status::Ok)),
                Err(why) => {
                    let kept = keep(&files, found.len());
                    found.push(format!("{name}, {}: {why} ({kept})", done.join(", ")));
                }
            }
        }
    }
    println!(
        "done: {tried} damaged ledgers of {} kinds, {opened} could be opened for writing, {} found",
        kinds.len(),
        found.len()
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Of a few, all may be of one kind.
    assert!(tried < 200 || (0 < opened && opened < tried), "some can be used, and some cannot");
}

#[test]
fn files_that_are_cut_off_are_a_status() {
    let (mut random, mut jury, kinds) = (Random::new(), Jury::default(), kinds());
    let (mut tried, mut found) = (0, Vec::new());
    for (name, whole) in &kinds {
        for (end, bytes) in whole {
            // Every length of small files where there is time; random ones of the others.
            let lengths: Vec<u64> = if cases() >= bytes.len() as u64 {
                (0..bytes.len() as u64).collect()
            } else {
                let most = [300, bytes.len() as u64];
                (0..cases() / 4 + 1)
                    .map(|i| random.below(most[i as usize % 2].min(bytes.len() as u64)))
                    .collect()
            };
            for len in lengths {
                let mut files = whole.clone();
                files.get_mut(end).unwrap().truncate(len as usize);
                tried += 1;
                if let Err(why) = judge(&mut jury, &files) {
                    let kept = keep(&files, 1000 + found.len());
                    found.push(format!("{name}, ledger.db{end} cut off at {len}: {why} ({kept})"));
                }
            }
        }
    }
    println!("done: {tried} ledgers with a file that is cut off, {} found", found.len());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Numbers that code is often not written for.
fn odd_number(random: &mut Random) -> u64 {
    const ODD: [u64; 14] =
        [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 62, u64::MAX];
    match random.below(3) {
        0 => random.below(u64::MAX),
        1 => random.below(300),
        _ => ODD[random.below(ODD.len() as u64) as usize],
    }
}

/// Overwrites so many bytes with a number, the most significant first.
fn put(bytes: &mut [u8], at: usize, len: usize, number: u64) {
    if let Some(place) = bytes.get_mut(at..at + len) {
        place.copy_from_slice(&number.to_be_bytes()[8 - len..]);
    }
}

/// Damages one file in some way; which.
fn damage(random: &mut Random, files: &mut Files, others: &Files) -> String {
    let ends: Vec<&'static str> = files.keys().copied().collect();
    let end = ends[random.below(ends.len() as u64) as usize];
    let bytes = files.get_mut(end).unwrap();
    if bytes.is_empty() {
        bytes.extend((0..random.below(5000)).map(|i| i as u8));
        return format!("ledger.db{end} filled");
    }
    let structured = random.below(3) > 0;
    let what = match end {
        "" if structured && bytes.len() >= PAGE => damage_database(random, bytes),
        "-wal" if structured => damage_wal(random, bytes),
        "-journal" if structured => damage_journal(random, bytes),
        "-log" if structured => damage_log(random, bytes),
        _ => damage_bytes(random, bytes, others.get(end)),
    };
    format!("ledger.db{end}: {what}")
}

/// Without knowing what it is.
fn damage_bytes(random: &mut Random, bytes: &mut Vec<u8>, other: Option<&Vec<u8>>) -> String {
    let len = bytes.len() as u64;
    let at = random.below(len) as usize;
    match random.below(7) {
        0 => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
        1 => {
            for _ in 0..=random.below(16) {
                let at = random.below(len) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            "bits flipped".to_string()
        }
        2 => {
            let end = (at + random.below(5000) as usize).min(bytes.len());
            let fill = [0, 0xff, random.below(256) as u8][random.below(3) as usize];
            bytes[at..end].fill(fill);
            format!("{at} to {end} filled with {fill}")
        }
        3 => {
            let end = (at + random.below(5000) as usize).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            format!("{at} to {end} made random")
        }
        4 => {
            bytes.extend((0..random.below(10_000)).map(|i| i as u8));
            "something behind".to_string()
        }
        5 => {
            let (from, to) = (at / PAGE * PAGE, random.below(len) as usize / PAGE * PAGE);
            let page = bytes[from..(from + PAGE).min(bytes.len())].to_vec();
            let end = (to + page.len()).min(bytes.len());
            bytes[to..end].copy_from_slice(&page[..end - to]);
            format!("page at {from} put at {to}")
        }
        _ => {
            if let Some(other) = other {
                let end = (at + random.below(20_000) as usize).min(bytes.len()).min(other.len());
                if random.below(4) == 0 || end <= at {
                    bytes.clone_from(other);
                } else {
                    bytes[at..end].copy_from_slice(&other[at..end]);
                }
            }
            format!("of another one from {at} on")
        }
    }
}

/// A field of the header, or of the head of a b-tree page (<https://sqlite.org/fileformat2.html>).
fn damage_database(random: &mut Random, bytes: &mut [u8]) -> String {
    const HEADER: [(usize, usize); 17] = [
        (16, 2),
        (18, 1),
        (19, 1),
        (20, 1),
        (21, 1),
        (24, 4),
        (28, 4),
        (32, 4),
        (36, 4),
        (40, 4),
        (44, 4),
        (48, 4),
        (52, 4),
        (56, 4),
        (60, 4),
        (64, 4),
        (68, 4),
    ];
    const PAGE_HEAD: [(usize, usize); 5] = [(0, 1), (1, 2), (3, 2), (5, 2), (8, 4)];
    let number = odd_number(random);
    if random.below(3) == 0 {
        let (at, len) = HEADER[random.below(HEADER.len() as u64) as usize];
        put(bytes, at, len, number);
        return format!("header byte {at} is {number:#x}");
    }
    let page = random.below((bytes.len() / PAGE) as u64) as usize;
    let head = page * PAGE + if page == 0 { 100 } else { 0 };
    let cells = usize::from(u16::from_be_bytes([bytes[head + 3], bytes[head + 4]])).min(1000);
    match random.below(3) {
        0 => {
            let (at, len) = PAGE_HEAD[random.below(PAGE_HEAD.len() as u64) as usize];
            let kinds = [2, 5, 10, 13, number];
            put(bytes, head + at, len, if at == 0 { kinds[random.below(5) as usize] } else { number });
            format!("page {page}: byte {at} of its head is {number:#x}")
        }
        1 => {
            let cell = random.below(cells as u64 + 1) as usize;
            put(bytes, head + 8 + cell * 2, 2, number % 5000);
            format!("page {page}: pointer {cell} is {}", number % 5000)
        }
        _ => {
            // The first bytes of a cell: lengths, ids, kinds of values, pages that follow.
            let cell = random.below(cells as u64 + 1) as usize;
            let pointer = head + 8 + cell * 2;
            let at = bytes
                .get(pointer..pointer + 2)
                .map_or(0, |at| usize::from(u16::from_be_bytes([at[0], at[1]])));
            let at = page * PAGE + at + random.below(12) as usize;
            put(bytes, at, 1 + random.below(4) as usize, number);
            format!("page {page}: cell {cell} at {at} is {number:#x}")
        }
    }
}

/// A field of the header or of a frame, or something on its page, with checksums that are right then.
fn damage_wal(random: &mut Random, bytes: &mut [u8]) -> String {
    const FRAME: usize = 24 + PAGE;
    let frames = bytes.len().saturating_sub(32) / FRAME;
    let number = odd_number(random);
    let what = match random.below(4) {
        0 => {
            let at = random.below(6) as usize * 4;
            put(bytes, at, 4, number);
            format!("header byte {at} is {number:#x}")
        }
        1 if frames > 0 => {
            let (frame, at) = (random.below(frames as u64) as usize, random.below(2) as usize * 4);
            put(bytes, 32 + frame * FRAME + at, 4, number);
            format!("frame {frame}: byte {at} is {number:#x}")
        }
        2 if frames > 0 => {
            let frame = random.below(frames as u64) as usize;
            let at = 32 + frame * FRAME + 24;
            let mut page = bytes[at..at + PAGE].to_vec();
            let what = damage_bytes(random, &mut page, None);
            page.resize(PAGE, 0);
            bytes[at..at + PAGE].copy_from_slice(&page);
            format!("frame {frame}: {what}")
        }
        _ if frames > 0 => {
            let frame = random.below(frames as u64) as usize;
            let at = 32 + frame * FRAME + 24 + random.below(200) as usize;
            put(bytes, at, 4, number);
            format!("frame {frame}: {at} is {number:#x}")
        }
        _ => "nothing".to_string(),
    };
    put_wal_checksums(bytes);
    what
}

/// As in "Checksum Algorithm" of <https://sqlite.org/fileformat2.html>, in the order of bytes that the magic says.
fn put_wal_checksums(bytes: &mut [u8]) {
    const FRAME: usize = 24 + PAGE;
    let Some(header) = bytes.get(..32) else { return };
    let is_big = header[3] & 1 == 1;
    let (salts, mut sums) = (header[16..24].to_vec(), [0_u32; 2]);
    let add = |sums: &mut [u32; 2], bytes: &[u8]| {
        for pair in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let word = pair[at..at + 4].try_into().unwrap();
                if is_big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
            };
            sums[0] = sums[0].wrapping_add(word(0)).wrapping_add(sums[1]);
            sums[1] = sums[1].wrapping_add(word(4)).wrapping_add(sums[0]);
        }
    };
    add(&mut sums, &bytes[..24]);
    let text = |sums: [u32; 2]| [sums[0].to_be_bytes(), sums[1].to_be_bytes()].concat();
    bytes[24..32].copy_from_slice(&text(sums));
    for frame in bytes[32..].chunks_exact_mut(FRAME) {
        frame[8..16].copy_from_slice(&salts);
        add(&mut sums, &frame[..8]);
        add(&mut sums, &frame[24..]);
        frame[16..24].copy_from_slice(&text(sums));
    }
}

/// A field of the header, or the name of a super-journal behind all.
fn damage_journal(random: &mut Random, bytes: &mut Vec<u8>) -> String {
    let number = odd_number(random);
    if random.below(3) == 0 {
        const NAMES: [&str; 5] = ["/etc/passwd", "/dev/zero", "/", "ledger.db", "/tmp/x-mj000000900"];
        let name = NAMES[random.below(5) as usize];
        name_super_journal(bytes, name);
        return format!("the super-journal {name}");
    }
    let at = 8 + random.below(5) as usize * 4;
    put(bytes, at, 4, number);
    format!("header byte {at} is {number:#x}")
}

/// As SQLite ends the journal of a transaction on several files.
fn name_super_journal(journal: &mut Vec<u8>, name: &str) {
    let locked_page = (1_u32 << 30) / PAGE as u32 + 1;
    journal.extend(locked_page.to_be_bytes());
    journal.extend(name.as_bytes());
    journal.extend((name.len() as u32).to_be_bytes());
    let sum = name.bytes().fold(0_u32, |sum, byte| sum.wrapping_add(byte as i8 as u32));
    journal.extend(sum.to_be_bytes());
    journal.extend(JOURNAL_MAGIC);
}

/// A word of the header, whose checksum is right then, or a word of a record likewise.
fn damage_log(random: &mut Random, bytes: &mut [u8]) -> String {
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap()))
    };
    let number = odd_number(random);
    if random.below(3) == 0 {
        let at = random.below(26) as usize * 8;
        let near = word(bytes, at).wrapping_add(number.min(4096) & !7).wrapping_sub(2048);
        let number = if random.below(2) == 0 { near } else { number };
        if let Some(place) = bytes.get_mut(at..at + 8) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        if bytes.len() >= 64 && at != 8 {
            let crc = crc32c::crc32c(&bytes[16..64]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        return format!("header byte {at} is {number:#x}");
    }
    let (ring, drained, published) = (word(bytes, 32), word(bytes, 136), word(bytes, 128));
    if ring == 0 || published <= drained || published - drained > ring {
        return "nothing".to_string();
    }
    // From record to record, some way.
    let mut position = drained;
    for _ in 0..random.below(25) {
        let next = position + (word(bytes, PAGE + (position % ring) as usize) & 0xffff_ffff);
        position = if next < published { next } else { drained };
    }
    let at = PAGE + (position % ring) as usize;
    let len = (word(bytes, at) & 0xffff_ffff) as usize;
    if len < 48 || !len.is_multiple_of(8) || at + len > bytes.len() {
        return "nothing".to_string();
    }
    // What is before the strings as often as all of it.
    let words = if random.below(2) == 0 { 5 } else { len as u64 / 8 - 1 };
    let field = 8 + random.below(words) as usize * 8;
    let odd = [f64::NAN.to_bits(), f64::INFINITY.to_bits(), (-0.0_f64).to_bits(), number];
    let number = if field < 48 { odd[random.below(4) as usize] } else { number };
    bytes[at + field..at + field + 8].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), &bytes[at + 8..at + len]);
    bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    format!("record at {position}: byte {field} is {number:#x}")
}

/// A file beside a ledger that belongs to another one.
#[test]
fn companions_of_another_ledger_are_a_status() {
    let mut jury = Jury::default();
    let kinds = kinds();
    for (name, files) in &kinds {
        for (other, others) in &kinds {
            for end in ["-wal", "-shm", "-journal", "-log", "-wake"] {
                let Some(foreign) = others.get(end) else { continue };
                let mut files = files.clone();
                files.insert(end, foreign.clone());
                if let Err(why) = judge(&mut jury, &files) {
                    panic!("{name} with the {end} of {other}: {why}");
                }
            }
        }
    }
}

/// SQLite deletes the super-journal that a journal names, once nobody needs it. Here it deletes none that was not
/// made as one.
#[test]
fn a_journal_has_no_other_file_deleted_or_waited_for() {
    let mut jury = Jury::default();
    let elsewhere = Place::new();
    let victims = ["precious.txt", "other.db", "other.db-journal", "other.db-wal"];
    for name in victims {
        fs::write(elsewhere.path(name), "").unwrap();
        fs::write(elsewhere.path(name), "nothing that is a name").unwrap();
        let mut files = interrupted();
        name_super_journal(files.get_mut("-journal").unwrap(), &elsewhere.file(name));
        judge(&mut jury, &files).unwrap();
        assert!(Path::new(&elsewhere.path(name)).exists(), "{name} was deleted");
    }
    // One that SQLite made is.
    let made = "other.db-mj0a1B2c9dE";
    fs::write(elsewhere.path(made), "nothing that is a name").unwrap();
    let mut files = interrupted();
    name_super_journal(files.get_mut("-journal").unwrap(), &elsewhere.file(made));
    assert_eq!(judge(&mut jury, &files), Ok(Some(Status::Ok)));
    assert!(!elsewhere.path(made).exists());
    // And one that nobody would ever write to is not waited for.
    let fifo = std::ffi::CString::new(elsewhere.file("fifo")).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    let mut files = interrupted();
    name_super_journal(files.get_mut("-journal").unwrap(), &elsewhere.file("fifo"));
    judge(&mut jury, &files).unwrap();
}
