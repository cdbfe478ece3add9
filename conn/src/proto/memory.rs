//! The memory that values take beside their bytes: what a budget has to charge.

use bytes::Bytes;
use http::HeaderMap;

/// The memory that a [`HeaderMap`] takes for each name that it has room for. This is a bucket of
/// 104 bytes and an index of 4, of which it keeps a third more.
const ENTRY: usize = 110;

/// The memory of each further value of a name. The map keeps these in a vector,
/// which doubles.
const EXTRA_VALUE: usize = 2 * 88;

/// Returns the memory of a header list, of which names and values have `bytes`
/// bytes.
pub(crate) fn of_fields<T>(map: &HeaderMap<T>, bytes: usize) -> usize {
    let extra = map.len().saturating_sub(map.keys_len());
    let entries = map.capacity().saturating_mul(ENTRY);
    let extra = extra.saturating_mul(EXTRA_VALUE);
    bytes.saturating_add(entries).saturating_add(extra)
}

/// Returns the memory of a header list of ours, text included.
pub(crate) fn of_list(map: &HeaderMap) -> usize {
    let bytes = map
        .iter()
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()))
        .fold(0, usize::saturating_add);
    of_fields(map, bytes)
}

/// The most that shared data counts, in bytes. A cached file or a static text is not memory of each
/// stream that sends it. A piece of received content shares its read buffer with other pieces, but
/// must count in full if it is echoed. A frame of the default size is no longer than this.
const SHARED: usize = 16 << 10;

/// Returns the memory of data that waits to be sent.
pub(crate) fn of_data(data: &Bytes) -> usize {
    match data.is_unique() {
        true => data.len(),
        false => data.len().min(SHARED),
    }
}

/// Returns the memory of a table with room for so many values of this type, beside
/// what they point to.
pub(crate) const fn of_table<T>(capacity: usize) -> usize {
    capacity.saturating_mul(size_of::<T>())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn data_that_is_shared_is_not_charged_to_each_that_sends_it() {
        let data = Bytes::from(vec![0; 1 << 20]);
        assert_eq!(of_data(&data), 1 << 20);
        let other = data.clone();
        assert_eq!((of_data(&data), of_data(&other)), (SHARED, SHARED));
        assert_eq!(of_data(&Bytes::from_static(&[0; 1 << 16])), SHARED);
    }

    /// An echo holds the read buffers of all its streams.
    #[test]
    fn pieces_of_one_read_buffer_count_in_full() {
        let mut buffer = bytes::BytesMut::from(&[7; 4 * 16_000][..]);
        let pieces = [(); 4].map(|()| buffer.split_to(16_000).freeze());
        assert_eq!(pieces.iter().map(of_data).sum::<usize>(), 4 * 16_000);
    }

    #[test]
    fn a_list_costs_a_hundred_bytes_a_field_beside_its_text() {
        let mut map = HeaderMap::new();
        assert_eq!(of_list(&map), 0);
        let value = HeaderValue::from_static("12345");
        for n in 0..100 {
            let name = HeaderName::from_bytes(format!("x-{n:03}").as_bytes()).unwrap();
            map.append(name, value.clone());
        }
        let text = 100 * 10;
        let once = of_list(&map);
        assert!(once >= text + 100 * ENTRY);
        map.append("x-000", value);
        assert_eq!(of_list(&map), once + 10 + EXTRA_VALUE);
    }
}
