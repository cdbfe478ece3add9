//! The cases for a server under test, section by section.

mod extensions;
mod hpack;
mod s3_starting;
mod s4_frames;
mod s5_streams;
mod s6_control;
mod s6_flow_control;
mod s6_messages;
mod s8_fields;
mod s8_messages;

use crate::target::Target;

use super::script::Row;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let tables = [
        s3_starting::rows,
        s4_frames::rows,
        s5_streams::rows,
        s6_messages::rows,
        s6_control::rows,
        s6_flow_control::rows,
        s8_messages::rows,
        s8_fields::rows,
        hpack::rows,
        extensions::rows,
    ];
    tables.iter().flat_map(|table| table(target)).collect()
}
