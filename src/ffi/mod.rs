//! The C API: the only place with `extern "C"`. One file for each section of the header.
//!
//! Every function does the same four things: it sets its results to nothing, checks and converts
//! its arguments, calls the safe API, and hands the result out. Rules that hold for all of them:
//!
//! - **Nothing crosses**: each body runs inside `guard`, which turns errors into statuses
//!   and error objects, and catches panics.
//! - **Who owns what** is said once, in `own`: which Rust type stands behind each opaque C type,
//!   and how it becomes a pointer and back.
//! - **Ledger handles are no addresses** (`handle`): a stale or made-up one is a clean error.

#![allow(non_camel_case_types)] // The names of C.

mod append;
mod arguments;
mod bulk;
mod config;
mod entries;
mod entry;
mod error;
mod feature;
mod features;
mod guard;
mod handle;
mod maintenance;
mod observe;
mod open;
mod options;
mod own;
mod query;
mod read;
mod shapes;
mod status;
mod transaction;
mod version;
mod wait;

pub use append::*;
pub use bulk::*;
pub use config::*;
pub use entries::*;
pub use entry::*;
pub use error::*;
pub use feature::*;
pub use features::*;
pub use maintenance::*;
pub use observe::*;
pub use open::*;
pub use options::*;
pub use query::*;
pub use read::*;
pub use status::*;
pub use transaction::*;
pub use version::*;
pub use wait::*;
