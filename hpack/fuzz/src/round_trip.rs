//! Fields that a decoder accepts survive our encoder and a second decoder without change.

use bytes::BytesMut;
use lacewing_hpack::{Decoder, Encoder, HeaderField, ListLimits, Sensitivity};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let mut peer = Decoder::<HeaderField>::new(4096);
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::<HeaderField>::new(4096);
    for block in input.split(|&byte| byte == 0xff) {
        let Ok(list) = peer.decode_to_vec(block, ListLimits::default()) else {
            break;
        };
        let setting = list.len() * 100;
        if setting % 300 == 0 {
            encoder.set_max_table_size(setting);
            decoder.set_max_table_size(setting);
        }
        let mut block = BytesMut::new();
        let mut fields = encoder.block(&mut block);
        for (field, sensitivity) in &list {
            fields.field(field.name(), field.value(), *sensitivity);
        }
        let again = decoder
            .decode_to_vec(&block, ListLimits::default())
            .expect("our own block");
        assert_eq!(list.len(), again.len());
        for ((field, sensitivity), (same, told)) in list.iter().zip(&again) {
            assert_eq!(field, same);
            assert!(*sensitivity == Sensitivity::Normal || told == sensitivity);
        }
        assert_eq!(encoder.table_size(), decoder.table_size());
    }
}
