//! The attack CRIME (CVE-2012-4929). An attacker chooses paths, sees the lengths of requests, and
//! searches for the cookie beside them. zlib reveals the cookie; whole-field compression does not.

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, Encoder, WireVersion};

const VERSIONS: [WireVersion; 2] = [WireVersion::V2, WireVersion::V3];

const DIGITS: &[u8] = b"0123456789abcdef";

/// Cookies of equal length.
const SECRETS: [&str; 4] = [
    "session=7b0e94c1d25f38a6",
    "session=ffffffffffffffff",
    "session=0123456789abcdef",
    "session=7b0e94c1d25f38a7",
];

/// A connection of a browser that has a cookie.
struct Victim {
    encoder: Encoder,
    cookie: &'static str,
}

impl Victim {
    fn new(version: WireVersion, compression: Compression, cookie: &'static str) -> Self {
        Victim {
            encoder: Encoder::new(version, compression),
            cookie,
        }
    }

    /// Requests a path of the attacker, and returns the length that the attacker can see.
    fn request(&mut self, path: &[u8]) -> usize {
        let mut wire = BytesMut::new();
        let mut block = self.encoder.block(&mut wire);
        block
            .field(b":method", [b"GET"])
            .field(b":path", [path])
            .field(b":host", [b"www.example.com"])
            .field(b"cookie", [self.cookie])
            .field(b"user-agent", [b"Mozilla/5.0"]);
        block.finish().unwrap();
        wire.len()
    }
}

/// The length of a request with a guess, in bits. The request uses a new connection, after one
/// request with the cookie. Eight offsets measure it: the last ones differ by one bit each,
/// whatever the rest of the path is.
fn measure(version: WireVersion, compression: Compression, guess: &[u8]) -> usize {
    let at_offset = |offset| {
        let mut victim = Victim::new(version, compression, SECRETS[0]);
        victim.request(b"/");
        // Literals of nine bits.
        let path = [b"/?", guess, &[0xf0; 8][..offset]].concat();
        victim.request(&path)
    };
    (0..8).map(at_offset).sum()
}

/// Guesses digit by digit. Continues with the digit that makes the request shortest, if there is
/// one.
fn recover(version: WireVersion, compression: Compression) -> Vec<u8> {
    let mut known = b"session=".to_vec();
    while known.len() < SECRETS[0].len() {
        let mut lengths: Vec<(usize, u8)> = DIGITS
            .iter()
            .map(|&digit| {
                let guess = [&known[..], &[digit]].concat();
                (measure(version, compression, &guess), digit)
            })
            .collect();
        lengths.sort_unstable();
        if lengths[0].0 == lengths[1].0 {
            break;
        }
        known.push(lengths[0].1);
    }
    known
}

#[test]
fn zlib_reveals_the_cookie_byte_by_byte() {
    for version in VERSIONS {
        let found = recover(version, Compression::Zlib(9));
        assert_eq!(found.escape_ascii().to_string(), SECRETS[0]);
    }
}

#[test]
fn whole_fields_reveal_no_byte_of_the_cookie() {
    for version in VERSIONS {
        assert_eq!(recover(version, Compression::WholeField), b"session=");
        // A guess of the whole cookie gains nothing either, since it is in another field.
        let right = measure(version, Compression::WholeField, SECRETS[0].as_bytes());
        let wrong = measure(version, Compression::WholeField, SECRETS[1].as_bytes());
        assert_eq!(right, wrong);
    }
}

/// The lengths that the attacker sees do not depend on the cookie. Therefore no attack, however
/// clever, can learn the cookie from them.
#[test]
fn ten_thousand_lengths_are_the_same_for_every_cookie() {
    for version in VERSIONS {
        let mut victims =
            SECRETS.map(|cookie| Victim::new(version, Compression::WholeField, cookie));
        let mut attacker = Attacker::new();
        for number in 0..10_000 {
            let path = attacker.path();
            let lengths = victims.each_mut().map(|victim| victim.request(&path));
            assert_eq!(
                lengths,
                [lengths[0]; SECRETS.len()],
                "request {number}, {}",
                path.escape_ascii()
            );
            attacker.learn(lengths[0]);
        }
    }
}

/// Under zlib, the lengths of the same requests depend on the cookie.
#[test]
fn the_same_requests_tell_cookies_apart_under_zlib() {
    for version in VERSIONS {
        let mut victims = SECRETS.map(|cookie| Victim::new(version, Compression::Zlib(9), cookie));
        let mut attacker = Attacker::new();
        let differ = (0..2_000).any(|_| {
            let path = attacker.path();
            let lengths = victims.each_mut().map(|victim| victim.request(&path));
            attacker.learn(lengths[0]);
            lengths != [lengths[0]; SECRETS.len()]
        });
        assert!(differ);
    }
}

/// A secret that an attacker may repeat as a whole field is safe if it is marked as sensitive, and
/// only then. HPACK has the same weakness (RFC 7541 section 7.1).
#[test]
fn whole_guesses_pay_unless_the_field_is_sensitive() {
    for version in VERSIONS {
        for sensitive in [false, true] {
            let length = |guess: &str| {
                let mut encoder = Encoder::new(version, Compression::WholeField);
                let mut wire = BytesMut::new();
                let mut block = encoder.block(&mut wire);
                if sensitive {
                    block.sensitive_field(b"x-key", [SECRETS[0]]);
                } else {
                    block.field(b"x-key", [SECRETS[0]]);
                }
                block.finish().unwrap();
                wire.clear();
                let mut block = encoder.block(&mut wire);
                block.field(b"x-key", [guess]);
                block.finish().unwrap();
                wire.len()
            };
            // Only the last byte of the fourth guess is wrong.
            assert_eq!(length(SECRETS[1]), length(SECRETS[3]));
            assert_eq!(length(SECRETS[0]) < length(SECRETS[1]), !sensitive);
        }
    }
}

/// Chooses each path by the lengths so far. The attacker even knows the first secret, and the
/// structure of blocks.
struct Attacker {
    asked: usize,
    /// The number of bytes of the secret that the attacker believes to know.
    known: usize,
    /// The shortest length among the guesses at the next byte.
    shortest: usize,
    random: u64,
}

impl Attacker {
    fn new() -> Self {
        Attacker {
            asked: 0,
            known: "session=".len(),
            shortest: usize::MAX,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn path(&mut self) -> Vec<u8> {
        let secret = SECRETS[0].as_bytes();
        let digit = DIGITS[self.asked % DIGITS.len()];
        let mut guess = [&secret[..self.known], &[digit]].concat();
        match self.asked / DIGITS.len() % 12 {
            // The guess in the path, at several positions.
            0 => [b"/?", &guess[..]].concat(),
            1 => [b"/?", &guess[..], b"&x"].concat(),
            2 => guess,
            // The guess with the bytes that precede the cookie in the block.
            3 => [b"cookie", &guess[..]].concat(),
            4 => [&b"\x00\x00\x00\x06cookie\x00\x00\x00\x18"[..], &guess].concat(),
            5 => [&b"\x00\x06cookie\x00\x18"[..], &guess].concat(),
            // The whole secret, and the secret with a small change.
            6 => secret.to_vec(),
            7 => [&b"\x00\x00\x00\x06cookie\x00\x00\x00\x18"[..], secret].concat(),
            8 => {
                guess = secret.to_vec();
                guess[8 + self.asked % 16] = digit;
                guess
            }
            // Fill the window, so that the cookie is far away or outside of it.
            9 => vec![digit; self.random(600)],
            10 => vec![digit; self.random(9000)],
            // Paths that repeat.
            _ => [b"/", &[digit][..]].concat(),
        }
    }

    /// Takes the byte of the shortest request as right. If all lengths are equal, takes any byte.
    fn learn(&mut self, length: usize) {
        self.asked += 1;
        if length < self.shortest {
            self.shortest = length;
        }
        if self.asked % (12 * DIGITS.len()) == 0 {
            let span = SECRETS[0].len() - "session=".len();
            self.known = "session=".len() + (self.known + self.shortest) % span;
            self.shortest = usize::MAX;
        }
    }

    fn random(&mut self, limit: u64) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % limit as usize
    }
}
