//! The cases for a client under test.

mod blocks;
mod control;
mod flow_control;
mod framing;
mod push;
mod responses;
mod settings;

use super::{dialect::Dialect, script::Row};

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let tables = [
        framing::rows,
        control::rows,
        settings::rows,
        flow_control::rows,
        blocks::rows,
        responses::rows,
        push::rows,
    ];
    tables.iter().flat_map(|table| table(dialect)).collect()
}
