//! The request after a redirect (RFC 9110 §15.4).

use http::{HeaderMap, Method, StatusCode, Uri, header};
use lacewing_client::Origin;

use crate::status::{self, Failure};

/// The fields that describe content, and go with it.
const OF_CONTENT: [header::HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::EXPECT,
    header::TRAILER,
];

/// The fields that are for one origin alone.
const SECRET: [header::HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
];

/// A request without its content.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) fields: HeaderMap,
    pub(super) content: With,
}

/// Whether a request carries the content of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    Content,
    Nothing,
}

impl Target {
    /// The URL that a response leads to, if it is a redirect.
    pub(super) fn location(
        &self,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<Option<Uri>, Failure> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = fields.get(header::LOCATION) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(location.as_bytes());
        let wrong = |why: String| {
            let message = format!(
                "{}: the redirect to {text:?} cannot be followed: {why}",
                self.url
            );
            Failure::new(status::USAGE, message)
        };
        let next = resolve(&self.url, &text).map_err(wrong)?;
        Origin::of(&next).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(next))
    }

    /// Goes there.
    pub(super) fn follow(&mut self, status: StatusCode, next: Uri) {
        let rewritten = match status.as_u16() {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if rewritten {
            self.method = Method::GET;
            self.content = With::Nothing;
            for name in OF_CONTENT {
                self.fields.remove(name);
            }
        }
        // A `host` field is for the first server.
        self.fields.remove(header::HOST);
        if Origin::of(&next).ok() != Origin::of(&self.url).ok() {
            for name in SECRET {
                self.fields.remove(name);
            }
        }
        self.url = next;
    }
}

/// Resolves a reference (RFC 3986 §5.2). Its fragment is left out.
pub(super) fn resolve(base: &Uri, reference: &str) -> Result<Uri, String> {
    let reference = reference.split('#').next().unwrap_or_default().trim();
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let text = if has_scheme {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else {
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (reference, String::new()),
        };
        let path = match path {
            "" if query.is_empty() => base
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            "" => base.path().to_owned(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let folder = base
                    .path()
                    .rsplit_once('/')
                    .map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{path}"))
            }
        };
        format!("{scheme}://{authority}{path}{query}")
    };
    escaped(&text)
        .parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Escapes the characters that servers leave in `location` although a URI cannot have them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            0x21..=0x7e => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_the_rfc_says() {
        let base = "http://a/b/c/d;p?q".parse().unwrap();
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g/", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y#s", "http://a/b/c/g?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../../../g", "http://a/g"),
            ("https://x:1/y?z", "https://x:1/y?z"),
            ("a b", "http://a/b/c/a%20b"),
        ] {
            assert_eq!(
                resolve(&base, reference).unwrap().to_string(),
                expected,
                "{reference}"
            );
        }
    }

    fn target(method: Method) -> Target {
        let mut fields = HeaderMap::new();
        for name in ["authorization", "cookie", "content-type", "accept"] {
            fields.insert(name, header::HeaderValue::from_static("x"));
        }
        let url = "https://a.example/x".parse().unwrap();
        Target {
            method,
            url,
            fields,
            content: With::Content,
        }
    }

    #[test]
    fn methods_are_those_of_browsers_and_secrets_stay_with_their_origin() {
        for (status, method, expected, content) in [
            (301, Method::POST, Method::GET, With::Nothing),
            (302, Method::PUT, Method::PUT, With::Content),
            (303, Method::PUT, Method::GET, With::Nothing),
            (303, Method::HEAD, Method::HEAD, With::Content),
            (307, Method::POST, Method::POST, With::Content),
            (308, Method::POST, Method::POST, With::Content),
        ] {
            let mut target = target(method);
            let status = StatusCode::from_u16(status).unwrap();
            target.follow(status, "https://a.example/y".parse().unwrap());
            assert_eq!(
                (target.method.clone(), target.content),
                (expected, content),
                "{status}"
            );
            assert!(target.fields.contains_key("authorization"));
            assert_eq!(
                target.fields.contains_key("content-type"),
                content == With::Content
            );
            target.follow(status, "https://b.example/y".parse().unwrap());
            assert!(
                !target.fields.contains_key("authorization")
                    && !target.fields.contains_key("cookie")
            );
            assert!(target.fields.contains_key("accept"));
        }
        for other in ["http://a.example/", "https://a.example:444/"] {
            let mut target = target(Method::GET);
            target.follow(StatusCode::FOUND, other.parse().unwrap());
            assert!(!target.fields.contains_key("cookie"), "{other}");
        }
    }
}
