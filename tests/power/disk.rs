//! A medium, and what a power cut can leave on it.
//!
//! Of each sector it knows all that it held since the last sync of its file; of each file all its sizes, and
//! of each name all that it led to since the last sync of the folder. After a power cut each of these is, for
//! itself, any of those values: writes are lost, reordered and torn. That is what POSIX allows, and more
//! than the file systems of today do; SQLite's crash tests (test6.c) and ALICE (OSDI 2014) take much the
//! same for granted. A sector holds whole writes, but one that is mapped may be written to the medium
//! between two stores: there each 64 bytes, a line of the processor's cache, are for themselves. What lies
//! behind the size that a file had on the medium may hold anything, unless room was allocated for it.

use std::collections::BTreeMap;

use crate::common::Random;
use crate::recorder::{Event, File};

pub const SECTOR: usize = 512;
const LINE: usize = 64;

type Sector = [u8; SECTOR];

/// All values since the last sync; the first is on the medium, the last is what programs see.
type Values<T> = Vec<T>;

#[derive(Clone, Default)]
struct Contents {
    /// Begun anew each time that the file was cut off: file systems do not show what was written after that
    /// in a file that was not.
    spans: Values<Span>,
    mapped: bool,
    /// Room was made without anything being written: zeroes are there.
    allocated: bool,
}

#[derive(Clone)]
struct Span {
    sectors: Vec<Values<Sector>>,
    sizes: Values<u64>,
}

#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<Contents>,
    names: BTreeMap<String, Values<Option<File>>>,
    /// The sectors of the last write.
    last: Vec<(File, usize)>,
}

/// The files of a folder.
pub type Folder = Vec<(String, Vec<u8>)>;

/// What of that which is not on the medium for certain came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Nothing,
    Everything,
    /// All but one.
    OneLost,
    /// One alone.
    OneKept,
    /// All, but of the last write only some sectors.
    LastTorn,
    /// Whatever.
    Mixed,
}

pub const CUTS: [Cut; 6] =
    [Cut::Nothing, Cut::Everything, Cut::OneLost, Cut::OneKept, Cut::LastTorn, Cut::Mixed];

impl Disk {
    /// One that has these files, all on the medium.
    pub fn of(folder: &Folder) -> Disk {
        let mut disk = Disk::default();
        for (file, (name, bytes)) in folder.iter().enumerate() {
            disk.apply(&Event::Name { name: name.clone(), file: Some(file) });
            disk.apply(&Event::Bytes { file, at: 0, bytes: bytes.clone(), mapped: false });
            disk.apply(&Event::Sync { file });
        }
        disk.apply(&Event::SyncFolder);
        disk
    }

    /// The names that programs see, with their files, and how many files there were.
    pub fn names(&self) -> (Vec<(String, File)>, usize) {
        let names = self.names.iter();
        let names = names.filter_map(|(name, files)| Some((name.clone(), (*files.last()?)?)));
        (names.collect(), self.files.len())
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Name { name, file } => {
                self.names.entry(name.clone()).or_insert_with(|| vec![None]).push(*file);
                if let Some(file) = file {
                    self.file(*file);
                }
            }
            Event::Bytes { file, at, bytes, mapped } => self.write(*file, *at, bytes, *mapped),
            Event::Size { file, len } => self.resize(*file, *len),
            Event::Sync { file } => {
                let contents = self.file(*file);
                settle(&mut contents.spans);
                let span = contents.now();
                span.sectors.iter_mut().for_each(settle);
                settle(&mut span.sizes);
            }
            Event::SyncFolder => self.names.values_mut().for_each(settle),
            Event::Told(_) => {}
        }
    }

    fn file(&mut self, file: File) -> &mut Contents {
        while self.files.len() <= file {
            let span = Span { sectors: Vec::new(), sizes: vec![0] };
            self.files.push(Contents { spans: vec![span], ..Contents::default() });
        }
        &mut self.files[file]
    }

    fn write(&mut self, file: File, at: u64, bytes: &[u8], mapped: bool) {
        let contents = self.file(file);
        contents.mapped |= mapped;
        let span = contents.now();
        let (at, end) = (usize::try_from(at).unwrap(), usize::try_from(at).unwrap() + bytes.len());
        span.grow(end as u64);
        let touched = at / SECTOR..end.div_ceil(SECTOR);
        for number in touched.clone() {
            let mut sector = *span.sectors[number].last().unwrap();
            let (from, to) = (at.max(number * SECTOR), end.min((number + 1) * SECTOR));
            sector[from - number * SECTOR..to - number * SECTOR].copy_from_slice(&bytes[from - at..to - at]);
            span.sectors[number].push(sector);
        }
        self.last = touched.map(|number| (file, number)).collect();
    }

    fn resize(&mut self, file: File, len: u64) {
        let contents = self.file(file);
        let span = contents.now();
        if len >= *span.sizes.last().unwrap() {
            span.grow(len);
            contents.allocated = true;
            return;
        }
        let (mut next, len) = (span.clone(), usize::try_from(len).unwrap());
        next.sectors.truncate(len.div_ceil(SECTOR));
        next.sectors.iter_mut().for_each(settle);
        if let Some(last) = next.sectors.get_mut(len / SECTOR) {
            last[0][len % SECTOR..].fill(0);
        }
        next.sizes = vec![len as u64];
        contents.spans.push(next);
    }

    /// What is not on the medium for certain.
    fn pending(&self) -> u64 {
        let mut count = 0;
        self.choose(|open| {
            count += u64::from(open > 1);
            0
        });
        count
    }

    /// Goes through all that can be this or that: how many values there are is what `choice` is asked with.
    fn choose(&self, mut choice: impl FnMut(usize) -> usize) {
        self.names.values().for_each(|values| _ = choice(values.len()));
        for contents in &self.files {
            choice(contents.spans.len());
            let span = contents.spans.last().unwrap();
            choice(span.sizes.len());
            span.sectors.iter().for_each(|values| _ = choice(values.len()));
        }
    }

    /// What a power cut leaves at this moment.
    pub fn cut(&self, cut: Cut, random: &mut Random) -> Folder {
        let one = random.below(self.pending().max(1));
        let mut asked = 0;
        let torn = random.below(self.last.len() as u64 + 1) as usize;
        let torn = if random.below(2) == 0 { &self.last[..torn] } else { &self.last[torn..] };
        // Of each file and of the names: everything, nothing, or each value for itself, the newest
        // with such a chance.
        let chances: [u64; 5] = [0, 1, 4, 7, 8];
        let fates: Vec<u64> = (0..=self.files.len()).map(|_| chances[random.below(5) as usize]).collect();
        let mut pick = |open: usize, fate: u64, is_torn: bool, random: &mut Random| {
            let newest = open - 1;
            if newest == 0 {
                return 0;
            }
            let is_one = asked == one;
            asked += 1;
            match cut {
                Cut::Nothing => 0,
                Cut::Everything => newest,
                Cut::OneLost if is_one => random.below(newest as u64) as usize,
                Cut::OneLost => newest,
                Cut::OneKept if is_one => 1 + random.below(newest as u64) as usize,
                Cut::OneKept => 0,
                Cut::LastTorn => newest - usize::from(is_torn),
                Cut::Mixed if random.below(8) < fate => newest,
                Cut::Mixed if fate == 0 => 0,
                Cut::Mixed => random.below(open as u64) as usize,
            }
        };
        let mut names = Vec::new();
        for (name, values) in &self.names {
            if let Some(file) = values[pick(values.len(), fates[self.files.len()], false, random)] {
                names.push((name.clone(), file));
            }
        }
        let mut bytes: Vec<Vec<u8>> = Vec::new();
        for (file, contents) in self.files.iter().enumerate() {
            let fate = fates[file];
            let span = &contents.spans[pick(contents.spans.len(), fate, false, random)];
            let size = span.sizes[pick(span.sizes.len(), fate, false, random)] as usize;
            let on_the_medium = span.sizes[0] as usize;
            let mut all = Vec::with_capacity(span.sectors.len() * SECTOR);
            for (number, values) in span.sectors.iter().enumerate() {
                let chosen = pick(values.len(), fate, torn.contains(&(file, number)), random);
                let mut sector = values[chosen];
                if cut == Cut::Mixed && contents.mapped && chosen > 0 && random.below(4) == 0 {
                    tear(&mut sector, &values[chosen - 1], random);
                }
                let is_behind = number * SECTOR >= on_the_medium && !contents.allocated;
                if cut == Cut::Mixed && is_behind && chosen < values.len() - 1 && random.below(4) == 0 {
                    sector.fill_with(|| random.below(256) as u8);
                }
                all.extend_from_slice(&sector);
            }
            all.resize(size, 0);
            bytes.push(all);
        }
        names.into_iter().map(|(name, file)| (name, bytes[file].clone())).collect()
    }
}

impl Contents {
    fn now(&mut self) -> &mut Span {
        self.spans.last_mut().unwrap()
    }
}

impl Span {
    fn grow(&mut self, len: u64) {
        if len > *self.sizes.last().unwrap() {
            self.sizes.push(len);
        }
        let sectors = usize::try_from(len).unwrap().div_ceil(SECTOR);
        if self.sectors.len() < sectors {
            self.sectors.resize(sectors, vec![[0; SECTOR]]);
        }
    }
}

fn settle<T>(values: &mut Values<T>) {
    values.drain(..values.len() - 1);
}

/// Some lines are those of before.
fn tear(sector: &mut Sector, before: &Sector, random: &mut Random) {
    for at in (0..SECTOR).step_by(LINE) {
        if random.below(2) == 0 {
            sector[at..at + LINE].copy_from_slice(&before[at..at + LINE]);
        }
    }
}
