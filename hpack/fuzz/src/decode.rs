//! Any blocks: the decoder does not panic, its table stays within its bound, and it keeps the
//! limits.

use lacewing_hpack::{DecodeError, Decoder, HeaderField, ListLimits};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = 1000;
        limits.max_fields = 20;
    });
    let mut decoder = Decoder::<HeaderField>::new(4096);
    // 0xff begins no common field, so it ends a block here.
    for block in input.split(|&byte| byte == 0xff) {
        let (mut fields, mut size) = (0, 0);
        let result = decoder.decode(block, limits, |field, _| {
            fields += 1;
            size += field.size();
        });
        assert!(fields <= limits.max_fields && size <= limits.max_size);
        assert!(decoder.table_size() <= decoder.max_table_size());
        match result {
            Ok(summary) => {
                assert_eq!((summary.fields, summary.size), (fields, size));
            }
            Err(DecodeError::ListTooLarge { summary, .. }) => assert!(summary.fields > fields),
            Err(_) => break,
        }
    }
}
