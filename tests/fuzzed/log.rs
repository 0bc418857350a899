//! The commit log: a file of any bytes, with as much put right in its header and its records as the first bytes say, so
//! that what stands behind a checksum is reached. Opened alone, as after all processes died: what is recovered is what a
//! reader finds that knows nothing but the layout, and recovered again it is the same. Then the same log beside a ledger
//! file, opened by the library as a whole.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use simledger::internals::{LogRead, Read, Stored, boot_id, json_by_the_rules, log_read};
use simledger::{Config, Ledger, Status};

const HEADER: usize = 4096;
const RING: usize = 64 << 10;
const WRAP: u32 = u32::MAX;

/// The years 0 to 9999.
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;

/// What the ledger file has.
const STORED: i64 = 3;

/// What the first bytes say.
struct Plan {
    /// Checksums and lengths of records, their ids, and the header are put right.
    records: bool,
    ids: bool,
    header: bool,
    boot: [u64; 2],
    /// Where the ring begins to be filled, and how far it is reclaimed, drained and published from there.
    positions: [u64; 3],
    last_id: i64,
    stored_id: i64,
    straight: u64,
    /// Bytes of the file that there are.
    len: usize,
}

impl Plan {
    fn of(data: &[u8]) -> Option<(Plan, &[u8])> {
        let (head, rest) = data.split_at_checked(16)?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let boot = match head[0] >> 3 & 3 {
            0 => [0, 0],
            1 => [7, 7],
            _ => boot_id(),
        };
        // In a later round of the ring, or at the beginning of the first.
        let begin = u64::from(half(2)) * 8 + u64::from(head[1] & 1) * RING as u64 * 3;
        let drained = begin + u64::from(half(4)) * 8;
        let plan = Plan {
            records: head[0] & 1 != 0,
            ids: head[0] & 2 != 0,
            header: head[0] & 4 == 0,
            boot,
            positions: [begin, drained, drained + u64::from(half(6)) * 8],
            last_id: STORED + i64::from(half(8).cast_signed()),
            stored_id: STORED + i64::from(half(10).cast_signed()),
            straight: u64::from(head[1] >> 1 & 1),
            len: if head[0] & 0x80 == 0 { HEADER + RING } else { usize::from(half(12)) * 8 },
        };
        Some((plan, rest))
    }

    fn place(position: u64) -> usize {
        HEADER + usize::try_from(position % RING as u64).unwrap()
    }

    /// The bytes of a log of the ledger with this identity.
    fn file(&self, ledger: [u64; 2], content: &[u8]) -> Vec<u8> {
        let mut file = vec![0; HEADER + RING];
        for (index, byte) in content.iter().take(RING).enumerate() {
            file[Plan::place(self.positions[0] + index as u64)] = *byte;
        }
        if self.records {
            self.mend(&mut file, self.positions[0] + content.len().min(RING) as u64);
        }
        let fixed = [ledger[0], ledger[1], RING as u64, 0, self.boot[0], self.boot[1]];
        let mut put = |at: usize, word: u64| file[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(0, u64::from_le_bytes(*b"SIMLLOG\0"));
        fixed.iter().enumerate().for_each(|(index, word)| put(16 + index * 8, *word));
        let [reclaimed, drained, published] = self.positions;
        let words =
            [published, drained, reclaimed, self.last_id.cast_unsigned(), self.stored_id.cast_unsigned()];
        words.iter().enumerate().for_each(|(index, word)| put(128 + index * 8, *word));
        put(184, self.straight);
        let crc = crc32c::crc32c(&file[16..64]);
        file[8..16].copy_from_slice(&(1 | u64::from(crc) << 32).to_le_bytes());
        if !self.header {
            // The first bytes of the ring once more, over all of it but what makes it a log of this ledger.
            for (at, byte) in content.iter().take(136).enumerate() {
                file[64 + at] = *byte;
            }
        }
        file.truncate(self.len);
        file
    }

    /// Gives each record from the beginning to `end` its length, its id in turn, and its checksum.
    fn mend(&self, file: &mut [u8], end: u64) {
        let (mut at, mut id) = (self.positions[0], STORED + 1);
        while at < end {
            let (place, left) = (Plan::place(at), HEADER + RING - Plan::place(at));
            let half = |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            if half(file, place) == WRAP || left < 48 {
                put_half(file, place, WRAP);
                put_half(file, place + 4, checksum(at, &[]));
                at += left as u64;
                continue;
            }
            let features = half(file, place + 40) as usize & 0x3ff;
            let node = half(file, place + 44) as usize & 0xff;
            let len = (48 + features + node).next_multiple_of(8);
            if len > left {
                put_half(file, place, WRAP);
                continue;
            }
            put_half(file, place, u32::try_from(len).unwrap());
            put_half(file, place + 40, u32::try_from(features).unwrap());
            let flags = file[place + 46] & 3;
            file[place + 44..place + 48].copy_from_slice(&[u8::try_from(node).unwrap(), 0, flags, 0]);
            if self.ids && flags != 2 {
                file[place + 8..place + 16].copy_from_slice(&id.to_le_bytes());
                id += 1;
            }
            let crc = checksum(at, &file[place + 8..place + len]);
            put_half(file, place + 4, crc);
            at += len as u64;
        }
    }
}

fn put_half(file: &mut [u8], at: usize, half: u32) {
    file[at..at + 4].copy_from_slice(&half.to_le_bytes());
}

fn checksum(position: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), bytes)
}

/// The record at a position and where the next one is, as the layout says; none that nobody can have put there.
fn record(file: &[u8], position: u64) -> Option<(Read, u64)> {
    let word = |at: usize| Some(u64::from_le_bytes(file.get(at..at + 8)?.try_into().unwrap()));
    let (mut at, mut place) = (position, Plan::place(position));
    let head = |word: u64| (word as u32, (word >> 32) as u32);
    if head(word(place)?).0 == WRAP {
        if head(word(place)?).1 != checksum(at, &[]) {
            return None;
        }
        at += (HEADER + RING - place) as u64;
        place = HEADER;
    }
    let (len, crc) = head(word(place)?);
    let len = len as usize;
    if len < 48 || !len.is_multiple_of(8) || place + len > HEADER + RING {
        return None;
    }
    let bytes = &file[place..place + len];
    if crc != checksum(at, &bytes[8..]) {
        return None;
    }
    let number = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (id, lengths) = (number(8), number(40).cast_unsigned());
    let next = at + len as u64;
    if lengths >> 48 == 2 {
        let is_valid = id >= 1 && number(16) >= id && number(16) < i64::MAX;
        return is_valid.then(|| (Read::Elsewhere(id, number(16)), next));
    }
    let (features, node) = (lengths as u32 as usize, (lengths >> 32 & 0xffff) as usize);
    let text = |from: usize, len: usize| {
        Some(std::str::from_utf8(bytes.get(48 + from..48 + from + len)?).ok()?.to_string())
    };
    let numbers = [number(16).cast_unsigned(), number(24).cast_unsigned()];
    let (node, features) = (text(0, node)?, text(node, features)?);
    let is_entry = (1..i64::MAX).contains(&id)
        && f64::from_bits(numbers[0]).is_finite()
        && (0.0..=1.0).contains(&f64::from_bits(numbers[1]))
        && (FIRST_SECOND..=LAST_SECOND).contains(&number(32))
        && !node.trim().is_empty()
        && !node.contains('\0')
        && features.trim_start().starts_with(['{', '['])
        && json_by_the_rules(&features, usize::MAX, false).is_ok();
    is_entry.then_some((Read::Entry(id, node, features, numbers, lengths >> 48 == 1), next))
}

/// Those records from a position to another that stand there whole, and whether that is all.
fn records(file: &[u8], from: u64, to: u64) -> (Vec<Read>, bool) {
    let (mut found, mut at) = (Vec::new(), from);
    while at < to {
        match record(file, at) {
            Some((read, next)) if next <= to => {
                found.push(read);
                at = next;
            }
            _ => return (found, false),
        }
    }
    (found, true)
}

pub fn run(data: &[u8]) {
    let Some((plan, content)) = Plan::of(data) else { return };
    FIXTURE.with(|fixture| {
        let fixture = fixture.get_or_init(Fixture::new);
        alone(fixture, &plan, &plan.file([1, 2], content));
        beside_a_ledger(fixture, &plan.file(fixture.identity, content));
    });
}

fn alone(fixture: &Fixture, plan: &Plan, file: &[u8]) {
    let ledger = fixture.folder.path().join("host.db");
    let log = log_of(&ledger);
    fs::write(&log, file).unwrap();
    let stored = Stored { ledger: [1, 2], last_id: STORED, removed_id: 0 };
    match log_read(&ledger, stored) {
        Ok(read) => {
            let after = fs::read(&log).unwrap();
            recovered(plan, file, &after, &read);
            // Whoever opens it next has the same.
            let again = log_read(&ledger, stored).expect("it was in order");
            assert_eq!((again.records, again.positions), (read.records, read.positions));
        }
        Err(error) => {
            assert!([Status::Corrupt, Status::Incompatible].contains(&error.status()), "{error}");
            let after = fs::read(&log).unwrap();
            assert!(after == file, "what is refused stays as it is");
            let [_, drained, published] = plan.positions;
            let (whole, all) = records(file, drained, published.max(drained));
            let follow = whole.iter().try_fold(STORED, |last, read| match read {
                Read::Entry(id, .., more) if *id == last + 1 && !more => Some(*id),
                _ => None,
            });
            // Nor does it say that the file had more.
            let is_short =
                published - plan.positions[0] <= RING as u64 && plan.last_id.max(plan.stored_id) <= STORED;
            let is_good = plan.header && plan.len == HEADER + RING && all && is_short;
            assert!(follow.is_none() || !is_good, "entries that are all there are lost: {error}");
        }
    }
    let _ = fs::remove_file(&log);
}

fn recovered(plan: &Plan, before: &[u8], after: &[u8], read: &LogRead) {
    let [reclaimed, drained, published] = read.positions;
    assert!(reclaimed <= drained && drained <= published && published - reclaimed <= read.capacity);
    assert_eq!(read.records, records(after, drained, published).0, "what stands there");
    let mut last = STORED;
    for (index, found) in read.records.iter().enumerate() {
        let Read::Entry(id, .., more) = found else { panic!("{found:?} is in the file") };
        assert_eq!(*id, last + 1);
        assert!(!more || index + 1 < read.records.len(), "half of a batch");
        last = *id;
    }
    let went_down = plan.boot != boot_id() && plan.boot != [0; 2];
    if before.len() == HEADER + RING && before[0] != 0 {
        let mut bytes = before[HEADER..].iter().zip(&after[HEADER..]);
        // What was lost when the machine went down is forgotten, and what was never published; which records are
        // kept was looked at above.
        let is_kept = |(before, after): (&u8, &u8)| before == after || *after == 0;
        assert!(bytes.all(is_kept), "records stay as they are");
    }
    // Where the machine did not go down, nothing of what was published is lost.
    if plan.header && plan.len == HEADER + RING && !went_down {
        // Also what was drained, where the file has not what the log says of it.
        let from = plan.positions[usize::from(plan.stored_id <= STORED)];
        let (whole, all) = records(before, from, plan.positions[2]);
        assert!(all, "there was damage");
        assert!(!matches!(whole.last(), Some(Read::Entry(.., true))), "half of a batch was published");
        let is_new = |read: &&Read| matches!(read, Read::Entry(id, ..) if *id > STORED);
        let expected: Vec<&Read> = whole.iter().filter(is_new).collect();
        let found: Vec<&Read> = read.records.iter().take(expected.len()).collect();
        assert_eq!(found, expected);
    }
}

fn beside_a_ledger(fixture: &Fixture, log: &[u8]) {
    let folder = super::folder();
    let path = folder.path().join("a.db");
    fs::write(&path, &fixture.template).unwrap();
    fs::write(log_of(&path), log).unwrap();
    let config = || {
        let mut config = Config::with_path(path.to_str().unwrap()).unwrap();
        config.set("timeout", "5").unwrap();
        config.set("log_bytes", "65536").unwrap();
        config
    };
    let rows = |ledger: &Ledger| {
        ledger.read_all().map(|all| {
            let rows: Vec<_> = all.iter().map(|entry| (entry.id(), entry.node_id().to_string())).collect();
            assert!(rows.windows(2).all(|two| two[0].0 < two[1].0), "{rows:?}");
            rows
        })
    };
    let expect = |error: &simledger::Error| {
        assert!([Status::Corrupt, Status::Incompatible].contains(&error.status()), "{error}");
    };
    let ledger = match Ledger::open(&config()) {
        Ok(ledger) => ledger,
        Err(error) => return expect(&error),
    };
    let before = rows(&ledger);
    match &before {
        Ok(rows) => assert!(rows.len() >= STORED as usize),
        Err(error) => expect(error),
    }
    let appended = ledger.append_json(r#"{"timestamp":1e9,"node_id":"later","features":[],"confidence":1}"#);
    let closed = ledger.close();
    if let (Ok(before), Ok(id), Ok(())) = (before, &appended, &closed) {
        assert!(*id > before.last().map_or(0, |row| row.0));
        let ledger = Ledger::open(&config()).expect("it was closed in order");
        let after = rows(&ledger).expect("as above");
        assert_eq!(after[..before.len()], before);
        assert_eq!(after[before.len()..], [(*id, "later".to_string())]);
        ledger.close().expect("as above");
    }
}

fn log_of(ledger: &Path) -> PathBuf {
    PathBuf::from(format!("{}-log", ledger.display()))
}

struct Fixture {
    folder: tempfile::TempDir,
    /// A ledger file with some entries, whose log was taken away, and which ledger it is.
    template: Vec<u8>,
    identity: [u64; 2],
    /// Has the file open beside which the log is.
    _host: Ledger,
}

thread_local! {
    static FIXTURE: OnceCell<Fixture> = const { OnceCell::new() };
}

impl Fixture {
    fn new() -> Fixture {
        let folder = super::folder();
        let open = |name: &str, commit: &str| {
            let mut config = Config::with_path(folder.path().join(name).to_str().unwrap()).unwrap();
            config.set("commit", commit).unwrap();
            Ledger::open(&config).unwrap()
        };
        let ledger = open("template.db", "log");
        for id in 1..=STORED {
            let entry = format!(r#"{{"timestamp":{id},"node_id":"n","features":{{}},"confidence":0.5}}"#);
            ledger.append_json(&entry).unwrap();
        }
        let path = folder.path().join("template.db");
        let log = fs::read(log_of(&path)).unwrap();
        let word = |at: usize| u64::from_le_bytes(log[at..at + 8].try_into().unwrap());
        let identity = [word(16), word(24)];
        ledger.close().unwrap();
        let template = fs::read(&path).unwrap();
        Fixture { template, identity, _host: open("host.db", "sqlite"), folder }
    }
}
