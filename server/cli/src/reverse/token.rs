//! The tokens that prove who may serve through a tunnel (RFC 6750).

use std::{env, fmt, fs::File, hint::black_box, io::Read as _, path::Path};

use http::HeaderValue;
use ring::digest::{Digest, SHA256, digest};

/// Bytes of a token. A shorter one could be guessed.
const MIN_TOKEN: usize = 16;
const MAX_TOKEN: usize = 1024;

/// The environment variable with the token of a dialler.
pub(crate) const DIAL_TOKEN: &str = "LACEWINGD_DIAL_TOKEN";

/// A shared secret. Nothing prints it.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    digest: Digest,
}

impl Token {
    /// Reads a token from a file. White space at its ends does not count.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let failed = |why: &dyn fmt::Display| format!("{}: {why}", file.display());
        let open = File::open(file).map_err(|error| failed(&error))?;
        let mut text = String::new();
        let most = MAX_TOKEN.saturating_add(2);
        let mut bounded = open.take(u64::try_from(most).unwrap_or(u64::MAX));
        let read = bounded.read_to_string(&mut text);
        read.map_err(|error| failed(&error))?;
        Self::of(&text).map_err(|why| failed(&why))
    }

    /// The token in the environment.
    pub(crate) fn of_environment() -> Result<Self, String> {
        let value = env::var_os(DIAL_TOKEN).unwrap_or_default();
        let text = value.into_string().unwrap_or_default();
        Self::of(&text).map_err(|why| format!("{DIAL_TOKEN}: {why}"))
    }

    fn of(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !(MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) || !text.bytes().all(plain) {
            return Err(format!(
                "a token has {MIN_TOKEN} to {MAX_TOKEN} letters, digits and characters of -._~+/=; \
                 `openssl rand -hex 32` makes one"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            digest: digest(&SHA256, text.as_bytes()),
        })
    }

    /// The value of `authorization`.
    pub(super) fn bearer(&self) -> HeaderValue {
        let value = HeaderValue::try_from(format!("Bearer {}", self.text));
        let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }

    /// Returns whether a request presents this token. The time does not depend on how much of it is
    /// right: the comparison is of digests, and of all their bytes.
    pub(super) fn is(&self, presented: &Presented) -> bool {
        are_equal(&self.digest, &presented.0)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        are_equal(&self.digest, &other.digest)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a request presents as its token.
pub(super) struct Presented(Digest);

impl Presented {
    /// Reads the value of `authorization`; `None` if it is no bearer token.
    pub(super) fn of(authorization: &HeaderValue) -> Option<Self> {
        let (scheme, token) = authorization.as_bytes().split_at_checked(7)?;
        let bearer = scheme.eq_ignore_ascii_case(b"bearer ");
        bearer.then(|| Self(digest(&SHA256, token.trim_ascii())))
    }
}

fn are_equal(one: &Digest, other: &Digest) -> bool {
    let pairs = one.as_ref().iter().zip(other.as_ref());
    let differences = pairs.fold(0, |differences, (one, other)| {
        black_box(differences | (one ^ other))
    });
    differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdef";

    fn presented(value: &str) -> Option<Presented> {
        Presented::of(&HeaderValue::from_str(value).unwrap())
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::of(&format!(" {TEXT}\n")).unwrap();
        for right in [format!("Bearer {TEXT}"), format!("bearer   {TEXT} ")] {
            assert!(token.is(&presented(&right).unwrap()), "{right}");
        }
        for wrong in [
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
        ] {
            assert!(!token.is(&presented(wrong).unwrap()), "{wrong}");
        }
        for other in ["", "Bearer", "Basic 0123456789abcdef"] {
            assert!(presented(other).is_none(), "{other}");
        }
        assert!(token.is(&Presented::of(&token.bearer()).unwrap()));
    }

    #[test]
    fn a_token_is_long_enough_and_is_never_shown() {
        for wrong in [
            "",
            "short",
            "with spaces in its middle",
            "0123456789abcde\u{e9}",
        ] {
            let why = Token::of(wrong).unwrap_err();
            assert!(
                why.contains("openssl rand") && !why.contains("short"),
                "{why}"
            );
        }
        assert!(Token::of(&"x".repeat(MAX_TOKEN + 1)).is_err());
        let token = Token::of(TEXT).unwrap();
        assert!(!format!("{token:?} {:?}", token.bearer()).contains(TEXT));
    }
}
