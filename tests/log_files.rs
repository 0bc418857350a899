//! Logs that are truncated, damaged, of another ledger, of an older state, or no logs at all: a status
//! and no crash, and what the ledger file has stays as it is.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Line, Place, Process, Random, config, entry, ids, integrity, parameter};
use simledger::{Ledger, NO_LIMIT, Status};

const LOG_BYTES: &str = "65536";
const STORED: usize = 20;
const PENDING: usize = 30;

fn keys() -> [(&'static str, &'static str); 2] {
    [("commit", "log"), ("log_bytes", LOG_BYTES)]
}

#[test]
#[ignore = "a process that is killed"]
fn leaves_a_log() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open(&config(&path, &keys())).unwrap();
    for i in 0..STORED {
        ledger.append_json(&entry(i as f64, "n")).unwrap();
    }
    ledger.flush().unwrap();
    let mut line = Line::to_the_test();
    // The drain cannot store what follows while the test holds SQLite's lock.
    line.say("stored");
    line.hear().unwrap();
    for i in 0..PENDING {
        ledger.append_json(&entry((STORED + i) as f64, "n")).unwrap();
    }
    line.say("appended");
    line.hear();
}

/// A ledger whose process was killed: some entries are in the file, and some in the log alone.
struct Left {
    place: Place,
    log: PathBuf,
    bytes: Vec<u8>,
}

impl Left {
    fn new() -> Left {
        let place = Place::new();
        let mut process = Process::start("leaves_a_log", &[("LEDGER", &place.file("ledger.db"))]);
        assert_eq!(process.line.hear().unwrap(), "stored");
        let other = place.sqlite();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(process.ask("go on"), "appended");
        process.kill();
        process.end();
        drop(other);
        let log = place.path("ledger.db-log");
        let bytes = fs::read(&log).unwrap();
        Left { place, log, bytes }
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// Where the first record that only the log has is in the file, and where the last one ends.
    fn pending(&self) -> (usize, usize) {
        let ring = self.word(32);
        let place = |position: u64| 4096 + (position % ring) as usize;
        (place(self.word(136)), place(self.word(128)))
    }

    /// Opens the ledger with this log; what could be read.
    fn open_with(&self, log: &[u8]) -> Result<Vec<i64>, Status> {
        fs::write(&self.log, log).unwrap();
        self.open()
    }

    fn open(&self) -> Result<Vec<i64>, Status> {
        let copy = Place::new();
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-log"] {
            let _ = fs::copy(self.place.path(name), copy.path(name));
        }
        let opened = copy.try_open(&keys()).map_err(|error| {
            assert!(!error.message().is_empty());
            error.status()
        });
        let result = opened.and_then(|ledger| {
            let found = ledger.read_all().map(|all| ids(&all)).map_err(|error| error.status());
            // Whatever it is, it does not keep the ledger from being used or being closed.
            let _ = ledger.append_json(&entry(1e6, "later"));
            let _ = ledger.close();
            found
        });
        let file = copy.sqlite();
        let stored: i64 = file.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
        assert!(stored >= STORED as i64, "what the file had is there");
        assert_eq!(integrity(&file), "ok");
        result
    }
}

fn all() -> Vec<i64> {
    (1..=(STORED + PENDING) as i64).collect()
}

#[test]
fn what_a_process_left_is_stored_by_the_next_opening() {
    let left = Left::new();
    assert_eq!(left.open(), Ok(all()));
    // Also read, and not stored, by one that may only read.
    let ledger = left.place.open(&[("read_only", "true")]);
    assert_eq!(ids(&ledger.read_all().unwrap()), all());
    assert_eq!(ids(&ledger.poll_since(30, NO_LIMIT).unwrap()), (31..=50).collect::<Vec<_>>());
    assert_eq!(ledger.get_by_id(45).unwrap().unwrap().as_ref().id(), 45);
    let error = ledger.sql("SELECT 1", None, 1).unwrap_err();
    assert_eq!(error.status(), Status::ReadOnly, "SQL sees the file alone, which nobody brings up to date");
}

#[test]
fn a_log_that_is_cut_off_is_a_status() {
    let left = Left::new();
    // As one that was begun and never finished: it was never appended to.
    let stored = || Ok((1..=STORED as i64).collect());
    assert_eq!(left.open_with(&[]), stored());
    for len in [1, 4095, 4096, 100_000] {
        assert_eq!(left.open_with(&vec![0; len]), stored(), "{len} zeroes");
    }
    for len in [1, 7] {
        assert_eq!(left.open_with(&left.bytes[..len]), Err(Status::Incompatible), "{len}");
    }
    for len in
        [8, 100, 4095, 4096, 5000, 8192, left.bytes.len() - 4096, left.bytes.len() - 8, left.bytes.len() - 1]
    {
        assert_eq!(left.open_with(&left.bytes[..len]), Err(Status::Corrupt), "{len}");
    }
}

#[test]
fn a_flipped_bit_is_a_status_wherever_it_matters() {
    let left = Left::new();
    let (begin, end) = left.pending();
    assert!(begin < end, "the ring was not gone round");
    let mut random = Random::new();
    for _ in 0..150 {
        let at = begin + random.below((end - begin) as u64) as usize;
        let mut bytes = left.bytes.clone();
        bytes[at] ^= 1 << random.below(8);
        assert_eq!(left.open_with(&bytes), Err(Status::Corrupt), "byte {at}");
    }
    // The header: refused, or it makes no difference; never a crash, never fewer entries than all.
    for at in 0..256 {
        for bit in [0, 7] {
            let mut bytes = left.bytes.clone();
            bytes[at] ^= 1 << bit;
            match left.open_with(&bytes) {
                Ok(found) => assert_eq!(found, all(), "byte {at}"),
                Err(status) => {
                    assert!(
                        [Status::Corrupt, Status::Incompatible].contains(&status),
                        "byte {at} {status:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn positions_that_cannot_be_are_a_status() {
    let left = Left::new();
    for at in [128, 136, 144] {
        for value in [1, 7, u64::MAX, u64::MAX - 7, 1 << 62, 1 << 63, left.word(at) + 8, left.word(at) - 8] {
            let mut bytes = left.bytes.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            match left.open_with(&bytes) {
                // Records before what is pending may be given up or not.
                Ok(found) => assert!(found == all() && at == 144, "{at} {value}"),
                Err(status) => assert_eq!(status, Status::Corrupt, "{at} {value}"),
            }
        }
    }
}

/// Each opening that can write takes a number.
#[test]
fn a_log_with_no_number_left_for_who_opens_it_is_left_as_it_is() {
    let left = Left::new();
    for taken in [(1 << 30) - 1, 1 << 30, 1 << 31, u32::MAX - 1, u32::MAX] {
        // Also where the machine went down since, so that there is much to be put in order.
        for mut bytes in [left.bytes.clone(), as_of_another_start(&left.bytes)] {
            bytes[68..72].copy_from_slice(&taken.to_le_bytes());
            fs::write(&left.log, &bytes).unwrap();
            let refused = left.place.try_open(&keys()).err().map(|error| error.status());
            assert_eq!(refused, Some(Status::Corrupt), "{taken}");
            assert!(fs::read(&left.log).unwrap() == bytes, "{taken}: what is refused was written to");
        }
    }
    let mut bytes = left.bytes.clone();
    bytes[68..72].copy_from_slice(&((1u32 << 30) - 2).to_le_bytes());
    assert_eq!(left.open_with(&bytes), Ok(all()), "the last number");
}

#[test]
fn what_is_no_log_of_this_ledger_is_left_as_it_is() {
    let left = Left::new();
    let foreign = Left::new();
    assert_eq!(left.open_with(&foreign.bytes), Err(Status::Incompatible), "of another ledger");
    let mut newer = left.bytes.clone();
    newer[8] = 99;
    assert_eq!(left.open_with(&newer), Err(Status::Incompatible));
    let text = "this is no log".repeat(1000);
    assert_eq!(left.open_with(text.as_bytes()), Err(Status::Incompatible));
    assert_eq!(fs::read(&left.log).unwrap(), text.as_bytes());
    fs::remove_file(&left.log).unwrap();
    fs::create_dir(&left.log).unwrap();
    let error = left.place.try_open(&keys()).err().unwrap();
    assert_eq!((error.status(), error.field()), (Status::Io, "path"));
    fs::remove_dir(&left.log).unwrap();
    let elsewhere = left.place.path("elsewhere");
    fs::write(&elsewhere, &left.bytes).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &left.log).unwrap();
    assert_eq!(left.place.try_open(&keys()).err().unwrap().status(), Status::Io, "no link is followed");
    assert_eq!(fs::read(&elsewhere).unwrap(), left.bytes);
}

/// What only looks as if it were no log yet is not made into one.
#[test]
fn what_holds_something_is_not_written_over() {
    let left = Left::new();
    let mut without_magic = left.bytes.clone();
    without_magic[..8].fill(0);
    let mut zeroes_first = vec![0; 5000];
    zeroes_first[1000] = 7;
    for bytes in [without_magic, zeroes_first, b"a note".to_vec(), b"\0\0\0\0\0\0\0\0a note".to_vec()] {
        let status = left.open_with(&bytes);
        assert_eq!(status, Err(Status::Incompatible), "{} bytes", bytes.len());
    }
    // One that was made, but for its last step.
    let place = Place::new();
    place.open(&keys()).close().unwrap();
    let ledger = place.open(&keys());
    let mut begun = fs::read(place.path("ledger.db-log")).unwrap();
    ledger.close().unwrap();
    begun[..8].fill(0);
    fs::write(place.path("ledger.db-log"), begun).unwrap();
    assert_eq!(place.open(&keys()).append_json(&entry(1.0, "n")).unwrap(), 1);
}

/// A record whose checksum is right, and that nobody can have appended.
#[test]
fn a_record_that_is_no_entry_is_a_status() {
    let left = Left::new();
    let (begin, _) = left.pending();
    let position = left.word(136);
    let nan = f64::NAN.to_le_bytes();
    let late = i64::MAX.to_le_bytes();
    for (field, value) in [(16, &nan[..]), (24, &nan), (32, &late), (48, b"\0"), (48, b" "), (49, b"x")] {
        let mut bytes = left.bytes.clone();
        let len = u32::from_le_bytes(bytes[begin..begin + 4].try_into().unwrap()) as usize;
        bytes[begin + field..begin + field + value.len()].copy_from_slice(value);
        let crc =
            crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), &bytes[begin + 8..begin + len]);
        bytes[begin + 4..begin + 8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(left.open_with(&bytes), Err(Status::Corrupt), "byte {field}");
        let reader = left.place.try_open(&[("read_only", "true")]);
        assert_eq!(
            reader.err().map(|error| error.status()),
            Some(Status::Corrupt),
            "byte {field}, read only"
        );
    }
}

#[test]
fn an_older_ledger_file_beside_its_log_is_told_and_not_mixed() {
    let place = Place::new();
    let ledger = place.open(&keys());
    ledger.append_json(&entry(0.0, "n")).unwrap();
    ledger.close().unwrap();
    let older = fs::read(place.path("ledger.db")).unwrap();
    let ledger = place.open(&keys());
    for i in 1..2000 {
        // Often round the ring: the log has not got all that the older file lacks.
        ledger.append_json(&entry(f64::from(i), "n")).unwrap();
    }
    ledger.checkpoint().unwrap();
    let log = fs::read(place.path("ledger.db-log")).unwrap();
    ledger.close().unwrap();
    let mut published = log.clone();
    // One more that only the log has.
    let word = |at: usize| u64::from_le_bytes(log[at..at + 8].try_into().unwrap());
    published[136..144].copy_from_slice(&word(144).to_le_bytes());
    // And one that has no record any more, as it is after a recovery.
    let mut empty = log.clone();
    empty[144..152].copy_from_slice(&word(128).to_le_bytes());
    empty[136..144].copy_from_slice(&word(128).to_le_bytes());
    fs::write(place.path("ledger.db"), older).unwrap();
    for log in [published, empty] {
        fs::write(place.path("ledger.db-log"), &log).unwrap();
        let error = place.try_open(&keys()).err().expect("an older copy");
        assert_eq!(error.status(), Status::Incompatible);
        assert!(error.message().contains("older"), "{error}");
    }
    // Without the log it can be gone on with.
    fs::remove_file(place.path("ledger.db-log")).unwrap();
    assert_eq!(ids(&place.open(&keys()).read_all().unwrap()), [1]);
}

/// The machine went down: the log says that it was another start of it.
fn as_of_another_start(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[48] ^= 1;
    let crc = crc32c::crc32c(&bytes[16..64]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn after_the_machine_went_down_a_prefix_is_left() {
    let left = Left::new();
    let (begin, end) = left.pending();
    assert_eq!(left.open_with(&as_of_another_start(&left.bytes)), Ok(all()), "all of it was on the medium");
    let record = (end - begin) / PENDING;
    for whole in [0, 1, 7, PENDING - 1] {
        let mut bytes = as_of_another_start(&left.bytes);
        // A page that never came to the medium.
        bytes[begin + whole * record..end].fill(0);
        let expected = (1..=(STORED + whole) as i64).collect();
        assert_eq!(left.open_with(&bytes), Ok(expected), "{whole}");
    }
    // The header may be older than what stands behind it.
    let mut bytes = as_of_another_start(&left.bytes);
    let reclaimed = left.word(144).to_le_bytes();
    bytes[136..144].copy_from_slice(&reclaimed);
    let first = 4096 + (left.word(144) % left.word(32)) as usize;
    bytes[first..first + 8].fill(0xff);
    bytes[first + 4] = 0;
    assert_eq!(left.open_with(&bytes), Ok(all()), "found where it stands");
}

/// All of the ring looks like the record that is looked for, as long as the ring: to read it all would take its size
/// squared.
#[test]
fn what_looks_like_the_next_record_everywhere_is_damage() {
    let left = Left::new();
    let mut bytes = as_of_another_start(&left.bytes);
    let ring = bytes.len() - 4096;
    for at in (0..ring).step_by(16) {
        bytes[4096 + at..][..8].copy_from_slice(&(ring - at).to_le_bytes());
        bytes[4096 + at + 8..][..8].copy_from_slice(&(STORED as u64 + 1).to_le_bytes());
    }
    // From the beginning of the ring to its end.
    let begin = left.word(128) / ring as u64 * ring as u64;
    for (at, position) in [(144, begin), (136, begin), (128, begin + ring as u64)] {
        bytes[at..at + 8].copy_from_slice(&position.to_le_bytes());
    }
    assert_eq!(left.open_with(&bytes), Err(Status::Corrupt));
}

/// The log with something else in the record at this position, and a checksum that is right.
fn with_record(left: &Left, position: u64, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = left.bytes.clone();
    let begin = 4096 + (position % left.word(32)) as usize;
    let len = u32::from_le_bytes(bytes[begin..begin + 4].try_into().unwrap()) as usize;
    change(&mut bytes[begin..begin + len]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), &bytes[begin + 8..begin + len]);
    bytes[begin + 4..begin + 8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_record_that_no_append_can_have_made_is_damage() {
    let left = Left::new();
    let (first, len) = (left.word(136), (left.word(128) - left.word(136)) / PENDING as u64);
    assert_eq!(left.open_with(&with_record(&left, first, |_| ())), Ok(all()));
    let changes: [fn(&mut [u8]); 8] = [
        |record| record[24..32].copy_from_slice(&7_f64.to_le_bytes()),
        |record| record[16..24].copy_from_slice(&f64::NAN.to_le_bytes()),
        |record| record[48] = b' ',
        |record| record[48] = 0,
        |record| record[49] = b'?',
        // Lengths of strings that lead out of it.
        |record| record[40..44].fill(0xff),
        |record| record[41] = 1,
        |record| record[44..46].fill(0xff),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        for position in [first, first + 3 * len] {
            assert_eq!(
                left.open_with(&with_record(&left, position, change)),
                Err(Status::Corrupt),
                "{index}"
            );
        }
    }
    // A batch that goes on where nothing was published any more.
    let last = left.word(128) - len;
    assert_eq!(left.open_with(&with_record(&left, last, |record| record[46] = 1)), Err(Status::Corrupt));
}

/// An entry that was lost must not come back behind another one that has the id before it by then.
#[test]
fn what_stands_behind_a_record_that_was_lost_is_forgotten() {
    let left = Left::new();
    let (begin, end) = left.pending();
    let record = (end - begin) / PENDING;
    let mut bytes = as_of_another_start(&left.bytes);
    // The first of them never came to the medium, or one in the middle.
    for lost in [0, PENDING / 2] {
        let place = Place::new();
        fs::copy(left.place.path("ledger.db"), place.path("ledger.db")).unwrap();
        let _ = fs::copy(left.place.path("ledger.db-wal"), place.path("ledger.db-wal"));
        bytes[begin + lost * record..][..record].fill(0);
        fs::write(place.path("ledger.db-log"), &bytes).unwrap();
        bytes.copy_from_slice(&as_of_another_start(&left.bytes));
        let ledger = place.open(&keys());
        assert_eq!(ledger.last_id().unwrap(), (STORED + lost) as i64);
        let log = fs::read(place.path("ledger.db-log")).unwrap();
        let (kept, ring) = (begin..begin + lost * record, 4096..log.len());
        let stays = ring.into_iter().filter(|at| !kept.contains(at) && log[*at] != 0).count();
        assert_eq!(stays, 0, "bytes of records that nobody may find");
    }
}
