//! The codecs of header blocks behind one vocabulary.

use bytes::BytesMut;
use clap::ValueEnum;
use lacewing_hpack::{
    DEFAULT_TABLE_SIZE, Decoder as Hpack, Encoder as HpackEncoder, HeaderField, ListLimits,
    Sensitivity,
};
use lacewing_spdy_zlib::{Compression, Decoder as Zlib, Encoder as ZlibEncoder, WireVersion};

use super::document::{Codec, Entry, Field, Table, Value};

/// The largest list that a block may decode to, in bytes and in fields.
const MAX_LIST: usize = 16 << 20;
const MAX_FIELDS: usize = 100_000;

/// The first index of the dynamic table (RFC 7541 §2.3.3).
const FIRST_DYNAMIC: usize = 62;

/// The compression of SPDY's encoder.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum SpdyCompression {
    /// Matches whole fields only: safe for secrets
    #[default]
    WholeField,
    /// No compression
    Stored,
    /// zlib at level 9, as small as SPDY gets; not safe for secrets
    Zlib,
}

/// Decodes the blocks of one direction.
pub(super) enum BlockDecoder {
    Hpack(Box<Hpack<HeaderField>>),
    Zlib(Box<Zlib>),
}

impl BlockDecoder {
    pub(super) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Hpack => Self::Hpack(Box::new(Hpack::new(DEFAULT_TABLE_SIZE))),
            Codec::Spdy3 => Self::Zlib(Box::new(Zlib::new(WireVersion::V3))),
            Codec::Spdy2 => Self::Zlib(Box::new(Zlib::new(WireVersion::V2))),
        }
    }

    /// The largest size of the table from the next block on. SPDY has no table.
    pub(super) fn set_table_size(&mut self, size: usize) {
        if let Self::Hpack(decoder) = self {
            decoder.set_max_table_size(size);
        }
    }

    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        match self {
            Self::Hpack(decoder) => {
                let limits = ListLimits::default().with(|limits| {
                    limits.max_size = MAX_LIST;
                    limits.max_fields = MAX_FIELDS;
                });
                let decoded = decoder.decode(block, limits, |field, sensitivity| {
                    fields.push(Field {
                        name: field.name().to_vec(),
                        value: field.value().to_vec(),
                        never_indexed: sensitivity == Sensitivity::Sensitive,
                    });
                });
                decoded.map_err(|error| error.to_string())?;
            }
            Self::Zlib(decoder) => {
                let limits = lacewing_spdy_zlib::ListLimits::default().with(|limits| {
                    limits.max_size = MAX_LIST;
                    limits.max_fields = MAX_FIELDS;
                });
                let decoded = decoder.decode(block, limits, |name, values| {
                    fields.extend(values.iter().map(|value| Field {
                        name: name.to_vec(),
                        value: value.to_vec(),
                        never_indexed: false,
                    }));
                });
                decoded.map_err(|error| error.to_string())?;
            }
        }
        Ok(fields)
    }

    /// HPACK's dynamic table.
    pub(super) fn table(&self) -> Option<Table> {
        let Self::Hpack(decoder) = self else {
            return None;
        };
        let entries = decoder.table().enumerate().map(|(age, field)| Entry {
            index: FIRST_DYNAMIC.saturating_add(age),
            name: Value::new(field.name()),
            value: Value::new(field.value()),
            size: field.size(),
        });
        Some(Table {
            entries: entries.collect(),
            size: decoder.table_size(),
            max_size: decoder.max_table_size(),
        })
    }
}

/// Encodes the blocks of one direction.
pub(super) enum BlockEncoder {
    Hpack(Box<HpackEncoder>),
    Zlib(Box<ZlibEncoder>),
}

impl BlockEncoder {
    pub(super) fn new(codec: Codec, compression: SpdyCompression) -> Self {
        let compression = match compression {
            SpdyCompression::WholeField => Compression::WholeField,
            SpdyCompression::Stored => Compression::Stored,
            SpdyCompression::Zlib => Compression::Zlib(9),
        };
        match codec {
            Codec::Hpack => Self::Hpack(Box::default()),
            Codec::Spdy3 => Self::Zlib(Box::new(ZlibEncoder::new(WireVersion::V3, compression))),
            Codec::Spdy2 => Self::Zlib(Box::new(ZlibEncoder::new(WireVersion::V2, compression))),
        }
    }

    /// The table size that the peer permits, from the next block on.
    pub(super) fn set_table_size(&mut self, size: usize) {
        if let Self::Hpack(encoder) = self {
            encoder.set_max_table_size(size);
        }
    }

    pub(super) fn encode(&mut self, fields: &[Field]) -> Result<Vec<u8>, String> {
        let mut wire = BytesMut::new();
        match self {
            Self::Hpack(encoder) => {
                let mut block = encoder.block(&mut wire);
                for field in fields {
                    let sensitivity = match field.never_indexed {
                        true => Sensitivity::Sensitive,
                        false => Sensitivity::Normal,
                    };
                    block.field(&field.name, &field.value, sensitivity);
                }
            }
            Self::Zlib(encoder) => {
                let mut block = encoder.block(&mut wire);
                for (name, values) in by_name(fields) {
                    let sensitive = values.iter().any(|field| field.never_indexed);
                    let values = values.iter().map(|field| &field.value);
                    match sensitive {
                        true => block.sensitive_field(name, values),
                        false => block.field(name, values),
                    };
                }
                block.finish().map_err(|error| error.to_string())?;
            }
        }
        Ok(wire.to_vec())
    }
}

/// The fields of each name together: in SPDY, a name occurs once (SPDY/3 §2.6.10).
fn by_name(fields: &[Field]) -> Vec<(&[u8], Vec<&Field>)> {
    let mut names: Vec<(&[u8], Vec<&Field>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for field in fields {
        let place = *places.entry(field.name.as_slice()).or_insert(names.len());
        match names.get_mut(place) {
            Some((_, values)) => values.push(field),
            None => names.push((&field.name, vec![field])),
        }
    }
    names
}
