use alloc::vec::Vec;

use crate::dynamic_table::{DynamicTable, Entry, clamp};
use crate::string::{self, Scratch};
use crate::{
    DecodeError, ExceededLimit, FIELD_OVERHEAD, Field, FieldSink, HeaderField, ListLimits,
    Sensitivity, StaticIndex, Summary, integer,
};

/// Decodes the header blocks of one direction of a connection.
///
/// Pass every block that the peer sends to [`decode`](Self::decode) or
/// [`decode_to_vec`](Self::decode_to_vec), in the order of sending and whole (HEADERS with its
/// CONTINUATIONs). Do so for a block of a refused stream too: it may change the table.
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
    max_table_size: u32,
    /// We reduced the maximum below the size that the peer used. The next block must begin with an
    /// update to this size or a smaller one.
    required_update: Option<u32>,
    /// Counts the changes of the table.
    changes: u64,
}

impl<F: Field> Decoder<F> {
    /// Returns a decoder whose table may have `max_table_size` bytes: the value that we advertised
    /// as SETTINGS_HEADER_TABLE_SIZE, or [`DEFAULT_TABLE_SIZE`](crate::DEFAULT_TABLE_SIZE).
    ///
    /// For another size, start with the default. Call
    /// [`set_max_table_size`](Self::set_max_table_size) when the peer has acknowledged the size. If
    /// both sides already know the size, pass it here.
    pub const fn new(max_table_size: usize) -> Self {
        Self {
            table: DynamicTable::new(max_table_size),
            max_table_size: clamp(max_table_size),
            required_update: None,
            changes: 0,
        }
    }

    /// Returns the number of changes of the dynamic table so far. While it stays the same, the same
    /// bytes decode to the same fields.
    #[inline]
    pub fn table_changes(&self) -> u64 {
        self.changes
    }

    /// Sets another maximum. Call this when the peer acknowledges our SETTINGS_HEADER_TABLE_SIZE.
    ///
    /// If the new maximum is below the current size of the table, the peer must begin its next
    /// block with a size update (section 4.2).
    pub fn set_max_table_size(&mut self, max_table_size: usize) {
        self.max_table_size = clamp(max_table_size);
        if max_table_size < self.table.max_size() {
            let smallest = self.required_update.unwrap_or(self.max_table_size);
            self.required_update = Some(smallest.min(self.max_table_size));
        }
    }

    /// The maximum that a size update may set, in bytes.
    pub fn max_table_size(&self) -> usize {
        self.max_table_size as usize
    }

    /// The current size of the table (section 4.1), in bytes.
    pub fn table_size(&self) -> usize {
        self.table.size()
    }

    /// The fields of the dynamic table, newest first: the indexes 62, 63 and so on (section 2.3.3).
    ///
    /// ```
    /// use lacewing_hpack::{Decoder, HeaderField, ListLimits};
    ///
    /// let mut decoder = Decoder::<HeaderField>::new(4096);
    /// // A literal field with incremental indexing: `a: b`.
    /// decoder.decode_to_vec(b"\x40\x01a\x01b", ListLimits::default())?;
    /// let table: Vec<_> = decoder.table().collect();
    /// assert_eq!(table, [&HeaderField::new(b"a", b"b")]);
    /// # Ok::<(), lacewing_hpack::DecodeError>(())
    /// ```
    pub fn table(&self) -> impl ExactSizeIterator<Item = &F> {
        self.table.values().map(|stored| &stored.field)
    }

    /// Decodes one header block and passes its fields to `sink`, in their order.
    ///
    /// # Errors
    ///
    /// [`DecodeError::ListTooLarge`] when the list exceeds one of `limits`. The sink then has
    /// received the fields before the limit. The decoder decodes the remaining fields, so that the
    /// table agrees with the peer's, and discards them. The next block can follow.
    ///
    /// Every other error [is final](DecodeError::is_final): end the connection, and do not use the
    /// decoder again. Ignore the fields that the sink received before.
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
        sink: impl FnMut(F, Sensitivity),
    ) -> Result<Summary, DecodeError> {
        self.decode_into(block, limits, &mut Closure(sink))
    }

    /// Decodes one header block as [`decode`](Self::decode) does, and passes entries of a table to
    /// `sink` by reference.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_into(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        sink: &mut impl FieldSink<F>,
    ) -> Result<Summary, DecodeError> {
        let mut input = self.decode_size_updates(block)?;
        let mut list = List {
            limits,
            summary: Summary::default(),
            exceeded: None,
        };
        let mut scratch = (Scratch::new(), Scratch::new());
        while let Some((&first, rest)) = input.split_first() {
            let whole = input;
            input = rest;
            // The representations of section 6, by their first bits.
            if first & 0x80 != 0 {
                let place = StaticIndex::new(first & 0x7f);
                if !place.is_some_and(StaticIndex::is_pseudo) {
                    if let Some(known) = sink.known_rest(whole, self.changes, list.summary) {
                        if list.admits_all(known) {
                            sink.add_rest();
                            break;
                        }
                    }
                }
                if let Some(place) = place {
                    if list.admits(place.joined().0.len()) {
                        sink.static_entry(place);
                    }
                    continue;
                }
                let index = integer::decode(first, 7, &mut input)?;
                let entry = self.find_dynamic(index)?;
                if list.admits(entry.size().saturating_sub(FIELD_OVERHEAD)) {
                    sink.entry(&entry.value.field);
                }
                continue;
            }
            self.decode_literal(first, &mut input, &mut list, &mut scratch, sink)?;
        }
        list.finish()
    }

    /// Decodes the rest of a literal (section 6.2), whose first octet is `first`.
    ///
    /// Not inlined: indices are the most frequent fields, and their loop keeps its registers.
    #[inline(never)]
    fn decode_literal(
        &mut self,
        first: u8,
        input: &mut &[u8],
        list: &mut List,
        (name_scratch, value_scratch): &mut (Scratch, Scratch),
        sink: &mut impl FieldSink<F>,
    ) -> Result<(), DecodeError> {
        let (prefix, indexing, sensitivity) = match first >> 4 {
            4..=7 => (6, Indexing::Incremental, Sensitivity::Normal),
            0 => (4, Indexing::None, Sensitivity::Normal),
            1 => (4, Indexing::None, Sensitivity::Sensitive),
            _ => return Err(DecodeError::SizeUpdateNotFirst),
        };
        let index = integer::decode(first, prefix, input)?;
        let name = match index {
            0 => Name::Literal(string::decode(input, name_scratch)?),
            _ => self.find(index)?,
        };
        let value = string::decode(input, value_scratch)?;
        let name_len = name.name_len();
        let wanted = list.admits(name_len.saturating_add(value.len()));
        match indexing {
            Indexing::Incremental => {
                let size = name_len
                    .saturating_add(value.len())
                    .saturating_add(FIELD_OVERHEAD);
                if size <= self.table.max_size() {
                    // Build the field first: the insertion may evict the entry that has its
                    // name (4.4).
                    let field = name.with_value(value);
                    if wanted {
                        sink.entry(&field);
                    }
                    self.table.insert(Stored::new(field, name_len), size);
                    self.changes = self.changes.wrapping_add(1);
                    return Ok(());
                }
                if wanted {
                    sink.field(name.with_value(value), sensitivity);
                }
                self.table.clear();
                self.changes = self.changes.wrapping_add(1);
            }
            Indexing::None => match name {
                _ if !wanted => {}
                Name::Static(place) => sink.named(place, value, sensitivity),
                _ => sink.field(name.with_value(value), sensitivity),
            },
        }
        Ok(())
    }

    /// Decodes one header block and returns all its fields. Each field has its [`Sensitivity`],
    /// which an intermediary must keep (section 6.2.3).
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode). A list that exceeds one of `limits` is discarded.
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

    fn required_update(&self) -> Option<usize> {
        self.required_update.map(|size| size as usize)
    }

    /// Obeys the size updates at the start of `block` and returns the rest.
    fn decode_size_updates<'b>(&mut self, block: &'b [u8]) -> Result<&'b [u8], DecodeError> {
        let mut input = block;
        while let Some((&first, rest)) = input.split_first() {
            if first >> 5 != 1 {
                break;
            }
            input = rest;
            let size = integer::decode(first, 5, &mut input)?;
            let limit = self.max_table_size();
            if size > limit {
                return Err(DecodeError::SizeUpdateTooLarge { size, limit });
            }
            if let Some(limit) = self.required_update() {
                // After several reductions, the peer signals the smallest size first (section 4.2).
                if size > limit {
                    return Err(DecodeError::SizeUpdateMissing { limit });
                }
                self.required_update = None;
            }
            self.table.set_max_size(size);
            self.changes = self.changes.wrapping_add(1);
        }
        match self.required_update() {
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
        self.find_dynamic(index).map(Name::Dynamic)
    }

    /// The entry at an index behind the static table.
    #[inline(always)]
    fn find_dynamic(&self, index: usize) -> Result<&Entry<Stored<F>>, DecodeError> {
        let last_static = usize::from(StaticIndex::LAST.number());
        let age = index.wrapping_sub(last_static + 1);
        match self.table.entry(age) {
            Some(entry) => Ok(entry),
            None if index == 0 => Err(DecodeError::IndexZero),
            None => Err(DecodeError::IndexOutOfRange {
                index,
                last: last_static + self.table.len(),
            }),
        }
    }
}

/// Passes fields to a closure.
struct Closure<C>(C);

impl<F: Field, C: FnMut(F, Sensitivity)> FieldSink<F> for Closure<C> {
    #[inline]
    fn field(&mut self, field: F, sensitivity: Sensitivity) {
        (self.0)(field, sensitivity);
    }
}

/// The forms of a literal: with and without insertion into the table (section 6.2).
enum Indexing {
    Incremental,
    None,
}

/// A field in the dynamic table.
#[derive(Debug)]
struct Stored<F> {
    field: F,
    /// `F` may not store the length of the name, and the size of lists needs it.
    name_len: u32,
}

impl<F> Stored<F> {
    #[inline]
    fn new(field: F, name_len: usize) -> Self {
        // An entry fits into a table, and the size of a table fits into 32 bits.
        let name_len = u32::try_from(name_len).unwrap_or(u32::MAX);
        Self { field, name_len }
    }
}

/// The source of a field, or of its name.
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

    #[inline(always)]
    fn with_value(&self, value: &[u8]) -> F {
        match self {
            Self::Literal(name) => F::new(name, value),
            Self::Static(place) => F::from_static_name(*place, value),
            Self::Dynamic(entry) => entry.value.field.with_value(value),
        }
    }
}

/// The size of a block's list.
struct List {
    limits: ListLimits,
    summary: Summary,
    /// The first limit that the list exceeded, if any.
    exceeded: Option<ExceededLimit>,
}

impl List {
    /// Counts a field with `len` bytes of name and value. Returns true if the sink may receive it.
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

    /// Counts several fields if all are within the limits. Returns false, and counts none, if
    /// they are not.
    fn admits_all(&mut self, rest: Summary) -> bool {
        let fields = self.summary.fields.saturating_add(rest.fields);
        let size = self.summary.size.saturating_add(rest.size);
        let within = fields <= self.limits.max_fields && size <= self.limits.max_size;
        if within && self.exceeded.is_none() {
            self.summary = Summary { fields, size };
            return true;
        }
        false
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
