use alloc::vec::Vec;

use crate::dynamic_table::{DynamicTable, Entry};
use crate::string::{self, Scratch};
use crate::{
    DecodeError, ExceededLimit, FIELD_OVERHEAD, Field, HeaderField, ListLimits, Sensitivity,
    StaticIndex, Summary, integer,
};

/// Decodes the header blocks of one direction of a connection.
///
/// Every block that the peer sends goes through [`decode`](Self::decode) or
/// [`decode_to_vec`](Self::decode_to_vec), in the order of sending and whole (HEADERS
/// with its CONTINUATIONs). A block of a refused stream goes through it too: it may
/// change the table.
///
/// `F` is the caller's type for a header field; see [`Field`]. A new decoder, and
/// one whose table is empty, holds no heap memory.
///
/// ```
/// use lacewing_hpack::{Decoder, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let list = decoder.decode_to_vec(b"\x82\x84", ListLimits::default())?;
/// assert_eq!(list[0].0, HeaderField::new(b":method", b"GET"));
/// assert_eq!(list[1].0, HeaderField::new(b":path", b"/"));
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<F = HeaderField> {
    table: DynamicTable<Stored<F>>,
    /// The largest size that an update may set.
    max_table_size: usize,
    /// We reduced the maximum below what the peer used: the next block must begin
    /// with an update to this or less.
    required_update: Option<usize>,
}

impl<F: Field> Decoder<F> {
    /// A decoder whose table may have `max_table_size` bytes: the value that we advertised as
    /// SETTINGS_HEADER_TABLE_SIZE, or [`DEFAULT_TABLE_SIZE`](crate::DEFAULT_TABLE_SIZE).
    ///
    /// For a size other than the default, start with the default and call
    /// [`set_max_table_size`](Self::set_max_table_size) when the peer has acknowledged
    /// it, unless both sides know the size already.
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
    /// # Errors
    ///
    /// [`DecodeError::ListTooLarge`] when the list exceeds one of `limits`. The sink then
    /// has the fields before the limit; the rest was decoded, so that the table is in
    /// step, and not handed over. The next block can follow.
    ///
    /// Every other error [is final](DecodeError::is_final): the connection must end, and
    /// the decoder must not be used again. Fields that the sink had by then don't count.
    ///
    /// ```
    /// use lacewing_hpack::{DecodeError, Decoder, ListLimits};
    ///
    /// let mut decoder: Decoder = Decoder::new(4096);
    /// let limits = ListLimits::default().with(|limits| limits.max_fields = 2);
    /// let mut seen = 0;
    /// match decoder.decode(&[0x82; 5], limits, |_, _| seen += 1) {
    ///     Ok(summary) => unreachable!("{summary:?}"),
    ///     // Answer 431, or reset the stream.
    ///     Err(DecodeError::ListTooLarge { summary, .. }) => {
    ///         assert_eq!((seen, summary.fields), (2, 5));
    ///     }
    ///     // COMPRESSION_ERROR: GOAWAY.
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), DecodeError>(())
    /// ```
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
            exceeded: None,
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
        list.finish()
    }

    /// Decodes one header block to a list of its fields, all of them. With each stands
    /// whether it may be indexed; an intermediary must keep that (section 6.2.3).
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode); a list that exceeds one of `limits` is dropped.
    ///
    /// ```
    /// use lacewing_hpack::{DecodeError, Decoder, HeaderField, ListLimits, Sensitivity};
    ///
    /// let mut decoder = Decoder::new(4096);
    /// let list = decoder.decode_to_vec(&[0x82], ListLimits::default())?;
    /// assert_eq!(list, [(HeaderField::new(b":method", b"GET"), Sensitivity::Normal)]);
    /// # Ok::<(), DecodeError>(())
    /// ```
    pub fn decode_to_vec(
        &mut self,
        block: &[u8],
        limits: ListLimits,
    ) -> Result<Vec<(F, Sensitivity)>, DecodeError> {
        let mut list = Vec::new();
        self.decode(block, limits, |field, sensitivity| {
            list.push((field, sensitivity));
        })?;
        Ok(list)
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
                // Of several reductions the smallest is signalled first (section 4.2).
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

    /// The entry at an index other than 0 (section 2.3.3).
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

/// The forms of a literal: those that enter the table, and others (section
/// 6.2).
enum Indexing {
    Incremental,
    None,
}

/// A field in the dynamic table.
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

/// The source of a field, or of its name alone.
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
    /// The limit that the list exceeded first, if any.
    exceeded: Option<ExceededLimit>,
}

impl List {
    /// Counts a field with `len` bytes of name and value, and returns whether the sink
    /// shall have it.
    #[inline(always)]
    fn admits(&mut self, len: usize) -> bool {
        let summary = &mut self.summary;
        summary.fields += 1;
        summary.size = summary
            .size
            .saturating_add(len)
            .saturating_add(FIELD_OVERHEAD);
        if self.exceeded.is_none() {
            if summary.size > self.limits.max_size {
                self.exceeded = Some(ExceededLimit::Size);
            } else if summary.fields > self.limits.max_fields {
                self.exceeded = Some(ExceededLimit::Fields);
            }
        }
        self.exceeded.is_none()
    }

    fn finish(self) -> Result<Summary, DecodeError> {
        match self.exceeded {
            None => Ok(self.summary),
            Some(exceeded) => Err(DecodeError::ListTooLarge {
                exceeded,
                limits: self.limits,
                summary: self.summary,
            }),
        }
    }
}
