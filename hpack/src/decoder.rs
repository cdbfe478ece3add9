use crate::dynamic_table::{DynamicTable, Entry};
use crate::string::{self, Scratch};
use crate::{DecodeError, FIELD_OVERHEAD, Field, HeaderField, Sensitivity, StaticIndex, integer};

/// Decodes the header blocks of one direction of a connection.
///
/// Every block that the peer sends goes through [`decode`](Self::decode), in the
/// order of sending and whole (HEADERS with its CONTINUATIONs): also one whose
/// stream is refused, as it may change the table.
///
/// `F` is what the caller wants of a header field; see [`Field`]. A new decoder, and
/// one whose table is empty, holds no heap memory.
///
/// ```
/// use lacewing_hpack::{Decoder, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let mut list = Vec::new();
/// decoder.decode(b"\x82\x84", ListLimits::default(), |field, _| list.push(field))?;
/// assert_eq!(list[0], HeaderField::new(b":method", b"GET"));
/// assert_eq!(list[1], HeaderField::new(b":path", b"/"));
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<F = HeaderField> {
    table: DynamicTable<Stored<F>>,
    /// What size updates may ask for.
    max_table_size: usize,
    /// We reduced the maximum below what the peer used: the next block must begin
    /// with an update to this or less.
    required_update: Option<usize>,
}

/// When to stop handing over the fields of one block. Sizes count as in
/// SETTINGS_MAX_HEADER_LIST_SIZE: name, value and 32 bytes for each field.
///
/// The count matters as much as the size: what a field costs its receiver beyond
/// its bytes is far more than 32 bytes, and one byte on the wire can repeat it.
///
/// ```
/// use lacewing_hpack::{Decoder, ExceededLimit, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let limits = ListLimits { max_fields: 2, ..ListLimits::default() };
/// let mut seen = 0;
/// let summary = decoder.decode(&[0x82; 5], limits, |_, _| seen += 1)?;
/// assert_eq!((seen, summary.fields), (2, 5));
/// assert_eq!(summary.exceeded, Some(ExceededLimit::Fields));
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLimits {
    /// The size of the decoded list, in bytes.
    pub max_size: usize,
    /// The number of fields.
    pub max_fields: usize,
}

impl Default for ListLimits {
    /// 64 KiB and 1000 fields.
    fn default() -> Self {
        Self {
            max_size: 64 * 1024,
            max_fields: 1000,
        }
    }
}

/// What a block held.
///
/// ```
/// use lacewing_hpack::{Decoder, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let summary = decoder.decode(&[0x82], ListLimits::default(), |_, _| {})?;
/// assert_eq!((summary.fields, summary.size), (1, ":methodGET".len() + 32));
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Fields in the block, those beyond a limit included.
    pub fields: usize,
    /// The size of the list (name, value and 32 bytes for each field), those beyond
    /// a limit included.
    pub size: usize,
    /// The limit that came first, if one did. The sink then has the fields before it.
    pub exceeded: Option<ExceededLimit>,
}

/// Which of [`ListLimits`] a block exceeds.
///
/// ```
/// use lacewing_hpack::ExceededLimit;
///
/// assert_eq!(ExceededLimit::Size.to_string(), "size of the header list");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceededLimit {
    /// [`ListLimits::max_size`].
    Size,
    /// [`ListLimits::max_fields`].
    Fields,
}

impl core::fmt::Display for ExceededLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Size => "size of the header list",
            Self::Fields => "number of header fields",
        })
    }
}

impl<F: Field> Decoder<F> {
    /// A decoder whose table may have `max_table_size` bytes: what we announced as
    /// SETTINGS_HEADER_TABLE_SIZE, or [`DEFAULT_TABLE_SIZE`](crate::DEFAULT_TABLE_SIZE).
    ///
    /// For a size other than the default, start with the default and call
    /// [`set_max_table_size`](Self::set_max_table_size) when the peer has acknowledged
    /// it, unless both sides know it from elsewhere.
    pub const fn new(max_table_size: usize) -> Self {
        Self {
            table: DynamicTable::new(max_table_size),
            max_table_size,
            required_update: None,
        }
    }

    /// Sets another maximum: to be called when the peer acknowledges our
    /// SETTINGS_HEADER_TABLE_SIZE.
    ///
    /// A reduction below the present size of the table obliges the peer to begin its
    /// next block with a size update (section 4.2).
    pub fn set_max_table_size(&mut self, max_table_size: usize) {
        self.max_table_size = max_table_size;
        if max_table_size < self.table.max_size() {
            let smallest = self.required_update.unwrap_or(max_table_size);
            self.required_update = Some(smallest.min(max_table_size));
        }
    }

    /// The maximum that size updates may ask for, in bytes.
    pub fn max_table_size(&self) -> usize {
        self.max_table_size
    }

    /// The size of the table at present (section 4.1), in bytes.
    pub fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Decodes one header block and hands its fields to `sink` in their order.
    ///
    /// Beyond one of `limits` the rest is still decoded, so that the table stays in
    /// step, but not handed over; the [`Summary`] tells.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] is final: the connection must end, and the decoder must not
    /// be used again. Fields that the sink had by then don't count.
    pub fn decode(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        mut sink: impl FnMut(F, Sensitivity),
    ) -> Result<Summary, DecodeError> {
        let mut input = self.decode_size_updates(block)?;
        let mut list = List {
            limits,
            summary: Summary::default(),
        };
        let (mut name_scratch, mut value_scratch) = (Scratch::new(), Scratch::new());
        while let Some((&first, rest)) = input.split_first() {
            input = rest;
            // The representations of section 6, by their first bits.
            if first & 0x80 != 0 {
                let index = integer::decode(first, 7, &mut input)?;
                let name = self.find(index)?;
                if list.admits(name.field_len()) {
                    sink(name.field(), Sensitivity::Normal);
                }
                continue;
            }
            let (prefix, indexing, sensitivity) = match first >> 4 {
                4..=7 => (6, Indexing::Incremental, Sensitivity::Normal),
                0 => (4, Indexing::None, Sensitivity::Normal),
                1 => (4, Indexing::None, Sensitivity::Sensitive),
                _ => return Err(DecodeError::SizeUpdateNotFirst),
            };
            let index = integer::decode(first, prefix, &mut input)?;
            let name = match index {
                0 => Name::Literal(string::decode(&mut input, &mut name_scratch)?),
                _ => self.find(index)?,
            };
            let value = string::decode(&mut input, &mut value_scratch)?;
            let name_len = name.name_len();
            let wanted = list.admits(name_len.saturating_add(value.len()));
            match indexing {
                Indexing::Incremental => {
                    let size = name_len
                        .saturating_add(value.len())
                        .saturating_add(FIELD_OVERHEAD);
                    if size <= self.table.max_size() {
                        // Made before the table evicts what may lend its name (4.4).
                        let field = name.with_value(value);
                        if wanted {
                            sink(field.clone(), sensitivity);
                        }
                        self.table.insert(Stored::new(field, name_len), size);
                        continue;
                    }
                    if wanted {
                        sink(name.with_value(value), sensitivity);
                    }
                    self.table.clear();
                }
                Indexing::None => {
                    if wanted {
                        sink(name.with_value(value), sensitivity);
                    }
                }
            }
        }
        Ok(list.summary)
    }

    /// Obeys the size updates at the front of `block` and returns what follows.
    fn decode_size_updates<'b>(&mut self, block: &'b [u8]) -> Result<&'b [u8], DecodeError> {
        let mut input = block;
        while let Some((&first, rest)) = input.split_first() {
            if first >> 5 != 1 {
                break;
            }
            input = rest;
            let size = integer::decode(first, 5, &mut input)?;
            if size > self.max_table_size {
                let limit = self.max_table_size;
                return Err(DecodeError::SizeUpdateTooLarge { size, limit });
            }
            if let Some(limit) = self.required_update {
                // Of several reductions the smallest comes first (section 4.2).
                if size > limit {
                    return Err(DecodeError::SizeUpdateMissing { limit });
                }
                self.required_update = None;
            }
            self.table.set_max_size(size);
        }
        match self.required_update {
            Some(limit) => Err(DecodeError::SizeUpdateMissing { limit }),
            None => Ok(input),
        }
    }

    /// What an index that isn't 0 refers to (section 2.3.3).
    #[inline(always)]
    fn find(&self, index: usize) -> Result<Name<'_, F>, DecodeError> {
        if let Some(place) = u8::try_from(index).ok().and_then(StaticIndex::new) {
            return Ok(Name::Static(place));
        }
        let last_static = usize::from(StaticIndex::LAST.number());
        let age = index.wrapping_sub(last_static + 1);
        match self.table.entry(age) {
            Some(entry) => Ok(Name::Dynamic(entry)),
            None if index == 0 => Err(DecodeError::IndexZero),
            None => Err(DecodeError::IndexOutOfRange {
                index,
                last: last_static + self.table.len(),
            }),
        }
    }
}

/// Whether a literal enters the table (section 6.2).
enum Indexing {
    Incremental,
    None,
}

/// What the dynamic table keeps of a field.
#[derive(Debug)]
struct Stored<F> {
    field: F,
    /// `F` may have forgotten the name's length; lists are measured with it.
    name_len: u32,
}

impl<F> Stored<F> {
    #[inline]
    fn new(field: F, name_len: usize) -> Self {
        // An entry fits a table, and a table's size fits 32 bits.
        let name_len = u32::try_from(name_len).unwrap_or(u32::MAX);
        Self { field, name_len }
    }
}

/// Where a field, or only its name, comes from.
enum Name<'a, F> {
    Literal(&'a [u8]),
    Static(StaticIndex),
    Dynamic(&'a Entry<Stored<F>>),
}

impl<F: Field> Name<'_, F> {
    #[inline(always)]
    fn name_len(&self) -> usize {
        match self {
            Self::Literal(name) => name.len(),
            Self::Static(place) => place.joined().1,
            Self::Dynamic(entry) => entry.value.name_len as usize,
        }
    }

    /// The length of name and value.
    #[inline(always)]
    fn field_len(&self) -> usize {
        match self {
            Self::Literal(name) => name.len(),
            Self::Static(place) => place.joined().0.len(),
            Self::Dynamic(entry) => entry.size().saturating_sub(FIELD_OVERHEAD),
        }
    }

    /// The field with its own value.
    #[inline(always)]
    fn field(&self) -> F {
        match self {
            Self::Literal(name) => F::new(name, b""),
            Self::Static(place) => F::from_static(*place),
            Self::Dynamic(entry) => entry.value.field.clone(),
        }
    }

    #[inline(always)]
    fn with_value(&self, value: &[u8]) -> F {
        match self {
            Self::Literal(name) => F::new(name, value),
            Self::Static(place) => F::from_static_name(*place, value),
            Self::Dynamic(entry) => entry.value.field.with_value(value),
        }
    }
}

/// The list of a block, measured.
struct List {
    limits: ListLimits,
    summary: Summary,
}

impl List {
    /// Counts a field with `len` bytes of name and value, and tells whether the sink
    /// shall have it.
    #[inline(always)]
    fn admits(&mut self, len: usize) -> bool {
        let summary = &mut self.summary;
        summary.fields += 1;
        summary.size = summary
            .size
            .saturating_add(len)
            .saturating_add(FIELD_OVERHEAD);
        if summary.exceeded.is_none() {
            if summary.size > self.limits.max_size {
                summary.exceeded = Some(ExceededLimit::Size);
            } else if summary.fields > self.limits.max_fields {
                summary.exceeded = Some(ExceededLimit::Fields);
            }
        }
        summary.exceeded.is_none()
    }
}
