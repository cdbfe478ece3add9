//! The document: JSON in the form of the hpack-test-case collection, which nghttp2's `inflatehd`
//! and `deflatehd` read and write.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::hex;

/// Header blocks that share a compression context.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) codec: Option<Codec>,
    pub(super) cases: Vec<Case>,
}

/// The compression of header blocks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Codec {
    /// HPACK, of HTTP/2
    Hpack,
    /// The zlib of SPDY/3 and SPDY/3.1
    #[value(name = "spdy/3", alias = "spdy3", alias = "spdy/3.1")]
    Spdy3,
    /// The zlib of SPDY/2
    #[value(name = "spdy/2", alias = "spdy2")]
    Spdy2,
}

/// A header block, as bytes, as a list, or both.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Case {
    #[serde(default)]
    pub(super) seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_length: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output_length: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) percentage_of_original_size: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wire: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) headers: Option<Vec<Pair>>,
    /// The places in `headers` of fields that are never indexed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) never_indexed: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header_table_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header_table: Option<Table>,
}

/// An object with one key: the name of a field.
pub(super) type Pair = BTreeMap<String, Value>;

/// A field of a list, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) never_indexed: bool,
}

/// A value as text, or as bytes where it is no UTF-8.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    Bytes { hex: String },
}

/// The dynamic table of HPACK after a block.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    pub(super) size: usize,
    pub(super) max_size: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    /// Its index on the wire (RFC 7541 §2.3.3).
    pub(super) index: usize,
    pub(super) name: Value,
    pub(super) value: Value,
    /// Its size in the table (RFC 7541 §4.1).
    pub(super) size: usize,
}

impl Value {
    pub(super) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                hex: hex::encode(bytes),
            },
        }
    }

    fn into_bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Bytes { hex } => hex::decode(&hex),
        }
    }
}

impl Case {
    /// The fields of `headers`; `None` without any list.
    pub(super) fn fields(&mut self) -> Result<Option<Vec<Field>>, String> {
        let Some(pairs) = self.headers.take() else {
            return Ok(None);
        };
        let never_indexed = std::mem::take(&mut self.never_indexed);
        let mut fields = Vec::with_capacity(pairs.len());
        for (place, mut pair) in pairs.into_iter().enumerate() {
            let (Some((name, value)), true) = (pair.pop_first(), pair.is_empty()) else {
                return Err(format!(
                    "headers[{place}] must be an object with one key, the name of the field"
                ));
            };
            fields.push(Field {
                name: name.into_bytes(),
                value: value.into_bytes()?,
                never_indexed: never_indexed.contains(&place),
            });
        }
        Ok(Some(fields))
    }

    /// Stores the list and the block, with their lengths.
    pub(super) fn set(&mut self, fields: &[Field], wire: &[u8]) -> Result<(), String> {
        let pairs = fields.iter().map(|field| {
            let name = String::from_utf8(field.name.clone());
            let name =
                name.map_err(|_| format!("the name {:?} is no UTF-8", hex::encode(&field.name)))?;
            Ok(Pair::from([(name, Value::new(&field.value))]))
        });
        self.headers = Some(pairs.collect::<Result<_, String>>()?);
        let never_indexed = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.never_indexed);
        self.never_indexed = never_indexed.map(|(place, _)| place).collect();
        let length: usize = fields
            .iter()
            .map(|field| field.name.len().saturating_add(field.value.len()))
            .sum();
        self.input_length = Some(length);
        self.output_length = Some(wire.len());
        self.percentage_of_original_size = Some(percentage(wire.len(), length));
        self.wire = Some(hex::encode(wire));
        Ok(())
    }
}

/// Two digits after the point, as `deflatehd` prints.
#[allow(clippy::cast_precision_loss)]
fn percentage(length: usize, of: usize) -> f64 {
    if of == 0 {
        return 0.0;
    }
    (length as f64 / of as f64 * 1e4).round() / 1e2
}
