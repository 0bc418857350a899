//! What is on the medium when syncs fail: a model of what Linux does with the pages of a file.
//!
//! A sync that fails leaves pages that were to be written, and marks them as written: no later sync writes them, as
//! long as nobody changes them. What is on the medium after a power cut is what the syncs that succeeded have
//! written. (That files are made and removed is taken for lasting at once.)

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_long};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::{REMOVE, WRITE};

const PAGE: usize = 4096;

static MEDIUM: Mutex<Option<HashMap<String, Image>>> = Mutex::new(None);

#[derive(Default)]
struct Image {
    bytes: Vec<u8>,
    /// Pages that are taken for written and are not, with what they held.
    lost: HashMap<usize, Vec<u8>>,
}

/// Begins with nothing on the medium but what is there by now.
pub fn begin(folder: &Path) {
    let mut files = HashMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let image = Image { bytes: fs::read(&path).unwrap(), lost: HashMap::new() };
        files.insert(path.to_str().unwrap().to_string(), image);
    }
    *MEDIUM.lock().unwrap() = Some(files);
}

/// Told of each write, sync and removal.
pub unsafe extern "C" fn watch(path: *const c_char, kind: c_int, offset: c_long, len: c_long, failed: c_int) {
    // SAFETY: the preloaded library gives a C string.
    let path = unsafe { CStr::from_ptr(path) }.to_str().unwrap();
    let mut medium = MEDIUM.lock().unwrap();
    let Some(files) = medium.as_mut().filter(|_| !path.ends_with("-shm")) else { return };
    if kind == REMOVE {
        // One that is made in its place is another file, with nothing on the medium.
        files.remove(path);
        return;
    }
    if kind == WRITE {
        // Whatever is written anew is written by the next sync, also where it is as it was.
        if let (Some(image), Ok(begin), Ok(len)) =
            (files.get_mut(path), usize::try_from(offset), usize::try_from(len))
        {
            image.lost.retain(|page, _| (page + 1) * PAGE <= begin || page * PAGE >= begin + len);
        }
        return;
    }
    // A folder has no pages here.
    let Ok(now) = fs::read(path) else { return };
    let Image { bytes, lost } = files.entry(path.to_string()).or_default();
    for (number, page) in now.chunks(PAGE).enumerate() {
        let begin = number * PAGE;
        let is_there = bytes.get(begin..begin + page.len()) == Some(page);
        if failed != 0 {
            if !is_there {
                lost.insert(number, page.to_vec());
            }
        } else if lost.get(&number).is_none_or(|lost| lost != page) {
            lost.remove(&number);
            if bytes.len() < begin + page.len() {
                bytes.resize(begin + page.len(), 0);
            }
            bytes[begin..begin + page.len()].copy_from_slice(page);
        }
    }
    if failed == 0 {
        bytes.resize(now.len(), 0);
    }
}

/// Puts what is on the medium into another folder, as a machine finds it that was started anew.
pub fn after_a_power_cut(from: &Path, to: &Path) {
    let files = MEDIUM.lock().unwrap().take().expect("it was begun");
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let (path, name) = file.map(|file| (file.path(), file.file_name())).unwrap();
        let name = name.to_str().unwrap();
        if name.ends_with("-shm") {
            continue;
        }
        let mut bytes =
            files.get(path.to_str().unwrap()).map(|image| image.bytes.clone()).unwrap_or_default();
        if name.ends_with("-log") && bytes.len() > PAGE {
            // Another start of the machine, as docs and layout of the log have it.
            bytes[48] ^= 1;
            let crc = crc32c::crc32c(&bytes[16..64]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        fs::write(to.join(name), bytes).unwrap();
    }
}
