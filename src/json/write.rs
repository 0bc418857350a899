//! JSON as it is written. Memory that cannot be had for it is an error, and not the end of the process.

use std::borrow::Cow;
use std::io;

use crate::error::{Error, Result};

/// A JSON text that grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Appends what is JSON already.
    pub fn raw(&mut self, json: &str) -> Result<()> {
        self.reserve(json.len())?;
        self.0.extend_from_slice(json.as_bytes());
        Ok(())
    }

    /// Appends `text` as a JSON string, quotes included.
    pub fn string(&mut self, text: &str) -> Result<()> {
        // A str always has a JSON form: only memory can be missing.
        serde_json::to_writer(self, text).map_err(|_| no_memory())
    }

    /// Appends `number` in its shortest form that reads back as the same double.
    ///
    /// Numbers that JSON cannot express become `null`; the ledger never holds any.
    pub fn number(&mut self, number: f64) -> Result<()> {
        serde_json::to_writer(self, &number).map_err(|_| no_memory())
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.0.try_reserve(bytes).map_err(|_| no_memory())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn into_string(self) -> String {
        // Only strings were put into it.
        String::from_utf8(self.0).unwrap_or_default()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A copy of a text, for which memory may be missing.
pub(crate) fn copy(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| no_memory())?;
    copy.push_str(text);
    Ok(copy)
}

/// A text of its own, copied where it was borrowed.
pub(crate) fn own(text: Cow<'_, str>) -> Result<String> {
    match text {
        Cow::Owned(text) => Ok(text),
        Cow::Borrowed(text) => copy(text),
    }
}

fn no_memory() -> Error {
    Error::no_memory("the text", "make it shorter, or ask for less at a time")
}
