//! The cases for a server under test, section by section.

mod s3_starting;
mod s4_frames;

use crate::conform::Target;

use super::script::Row;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let tables = [s3_starting::rows, s4_frames::rows];
    tables.iter().flat_map(|table| table(target)).collect()
}
