//! A crate without the standard library that depends on lacewing-hpack.
//!
//! It has a panic handler of its own. The standard library has one too, and no program can have two:
//! the compiler refuses this crate as soon as anything below it links `std`. `cargo xtask standalone`
//! checks that it compiles, and that it does not with the feature `std`.

#![no_std]

use lacewing_hpack::{Decoder, Encoder, HeaderField, ListLimits, Sensitivity};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

pub fn round_trip() -> bool {
    let mut block = bytes::BytesMut::new();
    Encoder::new()
        .block(&mut block)
        .field(b"name", b"value", Sensitivity::Normal);
    let mut decoder = Decoder::<HeaderField>::new(4096);
    decoder
        .decode(&block, ListLimits::default(), |_, _| {})
        .is_ok()
}
