//! Seeded random input: the codec does not panic, and decoding returns the encoded fields.

use bytes::BytesMut;
use lacewing_hpack::{
    DecodeError, Decoder, Encoder, EncoderConfig, ExceededLimit, HeaderField, Indexing, ListLimits,
    Sensitivity, StringCoding, huffman,
};

/// Inputs of each kind. Miri is a thousand times slower.
const ROUNDS: usize = if cfg!(miri) { 40 } else { 20_000 };
/// Inputs of the kinds with long texts.
const LONG_ROUNDS: usize = if cfg!(miri) { 10 } else { ROUNDS };

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn bytes(&mut self, max_len: usize) -> Vec<u8> {
        let len = self.below(max_len + 1);
        let any = self.below(4) == 0;
        let byte = |random: &mut Self| match any {
            true => random.next() as u8,
            false => b"abcdefghijklmnopqrstuvwxyz0123456789-_=;/."[random.below(42)],
        };
        (0..len).map(|_| byte(self)).collect()
    }
}

#[test]
fn round_trips() {
    for seed in 1..=if cfg!(miri) { 1 } else { 300 } {
        round_trip(&mut Random(seed * 0x9e37_79b9));
    }
}

/// A connection with random lists, random changes of settings and random limits.
fn round_trip(random: &mut Random) {
    let mut encoder = Encoder::with_config(EncoderConfig::DEFAULT.with(|config| {
        config.max_table_size = [0, 40, 300, 4096, 20_000][random.below(5)];
        config.indexing =
            [Indexing::Sensible, Indexing::Everything, Indexing::Nothing][random.below(3)];
        config.strings = [
            StringCoding::HuffmanWhenShorter,
            StringCoding::Huffman,
            StringCoding::Plain,
        ][random.below(3)];
    }));
    let mut decoder = Decoder::<HeaderField>::new(4096);
    let mut pool: Vec<_> = (0..20)
        .map(|_| (random.bytes(20), random.bytes(60)))
        .collect();
    for name in [":path", "cookie", "authorization", ":status", "date"] {
        pool.push((name.as_bytes().to_vec(), random.bytes(40)));
    }
    for _ in 0..if cfg!(miri) { 4 } else { 40 } {
        for _ in 0..random.below(3) * random.below(3) {
            let size = [0, 31, 64, 1000, 4096, 9000][random.below(6)];
            encoder.set_max_table_size(size);
            decoder.set_max_table_size(size);
        }
        let mut list = Vec::new();
        for _ in 0..random.below(12) {
            let place = random.below(pool.len());
            if random.below(5) == 0 {
                let max_len = [300, 5000][usize::from(random.below(20) == 0)];
                pool[place].1 = random.bytes(max_len);
            }
            let sensitivity = match random.below(8) {
                0 => Sensitivity::Sensitive,
                _ => Sensitivity::Normal,
            };
            list.push((pool[place].clone(), sensitivity));
        }
        let mut block = BytesMut::from(&b"before"[..]);
        let mut fields = encoder.block(&mut block);
        for ((name, value), sensitivity) in &list {
            fields.field(name, value, *sensitivity);
        }
        assert_eq!(&block[..6], b"before");
        let limits = ListLimits::default().with(|limits| {
            limits.max_size = [usize::MAX, 2000][random.below(2)];
            limits.max_fields = [usize::MAX, 4][random.below(2)];
        });
        let mut seen = Vec::new();
        let result = decoder.decode(&block[6..], limits, |field, sensitivity| {
            seen.push((field, sensitivity))
        });
        assert_eq!(encoder.table_size(), decoder.table_size());
        match result {
            Ok(summary) => assert_eq!((summary.fields, seen.len()), (list.len(), list.len())),
            Err(DecodeError::ListTooLarge {
                exceeded, summary, ..
            }) => {
                assert_eq!(summary.fields, list.len());
                match exceeded {
                    ExceededLimit::Fields => assert_eq!(seen.len(), limits.max_fields),
                    _ => assert!(summary.size > limits.max_size),
                }
            }
            Err(error) => panic!("{error}"),
        }
        for (((name, value), sensitivity), (field, told)) in list.iter().zip(&seen) {
            assert_eq!((field.name(), field.value()), (&name[..], &value[..]));
            if *sensitivity == Sensitivity::Sensitive {
                assert_eq!(*told, Sensitivity::Sensitive);
            }
        }
    }
}

#[test]
fn garbage_never_panics() {
    let mut random = Random(42);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let mut decoder = Decoder::<HeaderField>::new(random.below(5000));
        for _ in 0..3 {
            let len = random.below(64);
            let block: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            match decoder.decode(&block, ListLimits::default(), |_, _| {}) {
                Ok(_) => accepted += 1,
                Err(_) => {
                    refused += 1;
                    break;
                }
            }
            assert!(decoder.table_size() <= decoder.max_table_size());
        }
    }
    let few = ROUNDS / 200;
    assert!(accepted > few && refused > few, "{accepted} {refused}");
}

/// Valid blocks with a few changed bytes reach more code than noise.
#[test]
fn mutations_never_panic() {
    let mut random = Random(7);
    let mut encoder = Encoder::new();
    let mut block = BytesMut::new();
    let mut fields = encoder.block(&mut block);
    for number in 0..30 {
        let (name, value) = (random.bytes(20), random.bytes(80));
        fields.field(&name, &value, Sensitivity::Normal);
        if number % 3 == 0 {
            fields.field(&name, &value, Sensitivity::Normal);
        }
    }
    for _ in 0..LONG_ROUNDS {
        let mut block = block.to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(block.len());
            block[place] = random.next() as u8;
        }
        block.truncate(random.below(block.len() + 1));
        let mut decoder = Decoder::<HeaderField>::new(4096);
        let _ = decoder.decode(&block, ListLimits::default(), |_, _| {});
        assert!(decoder.table_size() <= 4096);
    }
}

#[test]
fn huffman_of_anything() {
    let mut random = Random(3);
    for _ in 0..LONG_ROUNDS {
        let text = random.bytes(200);
        let mut coded = Vec::new();
        huffman::encode(&text, &mut coded);
        let mut decoded = Vec::new();
        huffman::decode(&coded, &mut decoded).unwrap();
        assert_eq!(decoded, text);
        // Each text has exactly one coded form: if bytes decode, they are that form.
        let noise: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
        let mut text = Vec::new();
        if huffman::decode(&noise, &mut text).is_ok() {
            let mut again = Vec::new();
            huffman::encode(&text, &mut again);
            assert_eq!(again, noise);
        }
    }
}
