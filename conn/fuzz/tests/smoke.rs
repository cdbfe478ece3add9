//! Every fuzz target over its seeds and over mutations of them, without a fuzzer: an ordinary test,
//! for any compiler. `cargo xtask fuzz` runs the same functions under libFuzzer.

use std::{fs, panic, path::Path};

type Target = fn(&[u8]);

/// Runs of one target beside its seeds.
const MUTATIONS: usize = 3_000;

/// The longest input, in bytes.
const LONGEST: usize = 4_096;

#[test]
fn hpack() {
    use lacewing_hpack_fuzz as targets;
    run("hpack", "decode", targets::decode::run);
    run("hpack", "huffman", targets::huffman::run);
    run("hpack", "nghttp2", targets::nghttp2::run);
    run("hpack", "round_trip", targets::round_trip::run);
}

#[test]
fn spdy_zlib() {
    use lacewing_spdy_zlib_fuzz as targets;
    run("spdy-zlib", "decode", targets::decode::run);
    run("spdy-zlib", "list", targets::list::run);
    run("spdy-zlib", "round_trip", targets::round_trip::run);
    run("spdy-zlib", "zlib", targets::zlib::run);
}

#[test]
fn frames() {
    use lacewing_frames_fuzz as targets;
    run("frames", "http2_decode", targets::http2_decode::run);
    run("frames", "http2_round_trip", targets::http2_round_trip::run);
    run("frames", "spdy_decode", targets::spdy_decode::run);
    run("frames", "spdy_round_trip", targets::spdy_round_trip::run);
}

#[test]
fn engine_as_server() {
    use lacewing_conn_fuzz as targets;
    run("conn", "server_http2", targets::server_http2);
    run("conn", "server_spdy31", targets::server_spdy31);
    run("conn", "server_spdy3", targets::server_spdy3);
    run("conn", "server_spdy2", targets::server_spdy2);
}

#[test]
fn engine_as_client() {
    use lacewing_conn_fuzz as targets;
    run("conn", "client_http2", targets::client_http2);
    run("conn", "client_spdy31", targets::client_spdy31);
    run("conn", "client_spdy3", targets::client_spdy3);
    run("conn", "client_spdy2", targets::client_spdy2);
}

#[test]
fn kube() {
    use lacewing_kube_fuzz as targets;
    run("conn/kube", "values", targets::values);
    run("conn/kube", "bare_request", targets::bare_request);
    run("conn/kube", "channels", targets::channels);
    run("conn/kube", "tunnel", targets::tunnel);
}

fn run(package: &str, name: &str, target: Target) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packed = root.join(format!("{package}/fuzz/seeds/{name}.seeds"));
    let seeds = unpack(&fs::read(&packed).expect("the target's seeds"));
    assert!(!seeds.is_empty(), "{packed:?} is empty");
    for seed in &seeds {
        play(name, target, seed);
    }
    let mut rng = Rng(1);
    for _ in 0..MUTATIONS {
        let input = mutate(&seeds, &mut rng);
        play(name, target, &input);
    }
}

fn play(name: &str, target: Target, input: &[u8]) {
    if panic::catch_unwind(|| target(input)).is_err() {
        panic!("target {name} fails on {}", input.escape_ascii());
    }
}

/// The inputs of a file of seeds: each after its length, two bytes, big-endian.
fn unpack(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    while let Some((len, rest)) = packed.split_first_chunk() {
        let (seed, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        seeds.push(seed.to_vec());
        packed = rest;
    }
    seeds
}

/// A seed with a few bytes changed, put in, taken away, or replaced by those of another.
fn mutate(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = seeds[rng.below(seeds.len())].clone();
    for _ in 0..=rng.below(4) {
        let at = rng.below(input.len() + 1);
        let end = input.len().min(at + 1 + rng.below(8));
        match rng.below(6) {
            0 => input
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte ^= 1 << rng.below(8)),
            1 => input
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte = rng.byte()),
            2 => input.insert(at, rng.byte()),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[rng.below(seeds.len())];
                let from = rng.below(other.len() + 1);
                let piece = &other[from..other.len().min(from + 1 + rng.below(64))];
                input.splice(at..end, piece.iter().copied());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
