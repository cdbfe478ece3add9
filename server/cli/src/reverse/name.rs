//! The names of tunnels.

use std::{fmt, str::FromStr};

/// Bytes of a name.
const MAX_NAME: usize = 64;

/// The name of a tunnel: a segment of a URL that needs no escape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TunnelName(String);

impl TunnelName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TunnelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let dots = text.bytes().all(|byte| byte == b'.');
        if dots || text.len() > MAX_NAME || !text.bytes().all(plain) {
            return Err(format!(
                "`{text}` is no name of a tunnel: up to {MAX_NAME} letters, digits, `-`, `_` and `.`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TunnelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        for right in ["office", "a.b-c_D9", &"x".repeat(64)] {
            assert_eq!(right.parse::<TunnelName>().unwrap().as_str(), right);
        }
        for wrong in ["", ".", "..", "a/b", "a b", "é", "a%2f", &"x".repeat(65)] {
            assert!(wrong.parse::<TunnelName>().is_err(), "{wrong}");
        }
    }
}
