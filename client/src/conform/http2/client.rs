//! The cases for a client under test, section by section.

mod s6_frames;

use super::script::Row;

pub(super) fn rows() -> Vec<Row> {
    let tables = [s6_frames::rows];
    tables.iter().flat_map(|table| table()).collect()
}
