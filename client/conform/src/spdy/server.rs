//! The cases for a server under test.

mod blocks;
mod control;
mod flow_control;
mod framing;
mod messages;
mod settings;
mod streams;

use super::{dialect::Dialect, script::Row};

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let tables = [
        framing::rows,
        streams::rows,
        control::rows,
        settings::rows,
        flow_control::rows,
        blocks::rows,
        messages::rows,
    ];
    tables.iter().flat_map(|table| table(dialect)).collect()
}
