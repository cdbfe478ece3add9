//! The path of a request, as names below the root.

use std::borrow::Cow;

use crate::failure::Failure;

/// Names that begin with a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// They are neither served nor shown, except `/.well-known` (RFC 8615).
    Omit,
    Serve,
}

/// The meaning of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Names with `/` between them; empty for the root.
    pub(crate) path: Cow<'a, str>,
    /// The path ends in `/` and names a directory.
    pub(crate) directory: bool,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(path: &'a str, hidden: Hidden) -> Result<Self, Failure> {
        let decoded = percent_decode(path)?;
        let directory = path.ends_with('/');
        let mut plain = 0;
        for (position, name) in decoded
            .split('/')
            .filter(|name| !name.is_empty())
            .enumerate()
        {
            // A backslash separates names elsewhere.
            if matches!(name, "." | "..") || name.contains(['\0', '\\']) {
                return Err(Failure::NotFound);
            }
            let well_known = position == 0 && name == ".well-known";
            if name.starts_with('.') && hidden == Hidden::Omit && !well_known {
                return Err(Failure::NotFound);
            }
            plain += name.len() + 1;
        }
        let path = trim(decoded);
        let plain = usize::saturating_sub(plain, 1);
        let path = if path.len() == plain {
            path
        } else {
            let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
            Cow::Owned(names.join("/"))
        };
        Ok(Self { path, directory })
    }

    /// The path of the same directory with the slash that a directory has.
    pub(crate) fn with_slash(&self) -> String {
        let mut location = String::with_capacity(self.path.len() + 2);
        for name in self.path.split('/') {
            // One slash at the start: two would name another host.
            location.push('/');
            percent_encode(name, &mut location);
        }
        location.push('/');
        location
    }
}

fn trim(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.trim_matches('/')),
        Cow::Owned(path) => Cow::Owned(path.trim_matches('/').to_owned()),
    }
}

fn percent_decode(text: &str) -> Result<Cow<'_, str>, Failure> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || {
            let digit = rest.next().and_then(|digit| char::from(digit).to_digit(16));
            digit.ok_or(Failure::BadPath)
        };
        let byte = match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).map_err(|_| Failure::BadPath)?,
            byte => byte,
        };
        bytes.push(byte);
    }
    // An encoded slash would be part of a name, which no name has.
    if bytes.iter().filter(|byte| **byte == b'/').count() > text.matches('/').count() {
        return Err(Failure::NotFound);
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| Failure::NotFound)
}

/// A name as a segment of a URL.
pub(crate) fn percent_encode(name: &str, encoded: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str, hidden: Hidden) -> Result<(String, bool), Failure> {
        let target = Target::parse(path, hidden)?;
        Ok((target.path.into_owned(), target.directory))
    }

    #[test]
    fn a_path_is_names_below_the_root() {
        for (path, names, directory) in [
            ("/", "", true),
            ("//", "", true),
            ("/a", "a", false),
            ("/a/b/", "a/b", true),
            ("//a%20b//%C3%A9/", "a b/é", true),
            ("/a..b/c...", "a..b/c...", false),
            ("/.well-known/acme", ".well-known/acme", false),
        ] {
            let expected = Ok((names.to_owned(), directory));
            assert_eq!(parsed(path, Hidden::Omit), expected, "{path}");
        }
        assert!(matches!(
            Target::parse("/a/b", Hidden::Omit).unwrap().path,
            Cow::Borrowed("a/b")
        ));
    }

    #[test]
    fn no_path_leads_out_of_the_root() {
        for path in [
            "/../", "/a/../..", "/%2e%2e/", "/..%2f", "/a%2fb", "/a\\b", "/a%5Cb", "/%00", "/./",
            "/%ff",
        ] {
            assert_eq!(
                parsed(path, Hidden::Serve),
                Err(Failure::NotFound),
                "{path}"
            );
        }
        for path in ["/%", "/%z", "/%4", "/%zz/"] {
            assert_eq!(parsed(path, Hidden::Serve), Err(Failure::BadPath), "{path}");
        }
    }

    #[test]
    fn hidden_names_are_served_only_if_asked() {
        for path in [
            "/.git/config",
            "/a/.env",
            "/%2Eenv",
            "/.well-known/.x",
            "/a/.well-known/b",
        ] {
            assert_eq!(parsed(path, Hidden::Omit), Err(Failure::NotFound), "{path}");
            assert!(parsed(path, Hidden::Serve).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_redirect_stays_on_this_host() {
        let target = Target::parse("//evil.example", Hidden::Omit);
        assert_eq!(target.unwrap().with_slash(), "/evil.example/");
        let target = Target::parse("/a%20b/%3F%23", Hidden::Omit).unwrap();
        assert_eq!(target.with_slash(), "/a%20b/%3F%23/");
    }
}
