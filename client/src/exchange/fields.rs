//! Header fields that no request may have. The client refuses them with an error instead of
//! dropping them, so that the user learns about it.

use http::{HeaderMap, HeaderName, HeaderValue, header, uri::Authority};

use lacewing_conn::proto::fields::{CONNECTION_SPECIFIC, content_length, is_authority};

use crate::RequestError;

/// The places of fields in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Head,
    Trailers,
}

/// The fields of a list that need a closer check. Most requests have neither; one pass over the
/// names costs less than two look-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) host: bool,
    pub(super) length: bool,
}

/// Refuses fields that the protocol cannot carry.
pub(super) fn check_fields(fields: &HeaderMap, section: Section) -> Result<Present, RequestError> {
    let mut present = Present::default();
    for (name, value) in fields {
        if let Some(why) = why_not(name, value, section) {
            let name = name.clone();
            return Err(RequestError::ForbiddenField { name, why });
        }
        present.host |= *name == header::HOST;
        present.length |= *name == header::CONTENT_LENGTH;
    }
    Ok(present)
}

/// Returns the reason why a field cannot be sent (RFC 9113 §8.2.2, SPDY/3 §3.2.1; for trailers RFC
/// 9110 §6.5.1).
fn why_not(name: &HeaderName, value: &HeaderValue, section: Section) -> Option<&'static str> {
    if section == Section::Trailers
        && (*name == header::CONTENT_LENGTH || *name == header::HOST || *name == header::TE)
    {
        return Some(
            "a trailer cannot change how the message is read or routed; send it in the head",
        );
    }
    if *name == header::TE {
        let trailers = value.as_bytes().trim_ascii();
        let fine = trailers.eq_ignore_ascii_case(b"trailers");
        return (!fine).then_some("HTTP/2 and SPDY allow only the value `trailers`");
    }
    if *name == header::TRANSFER_ENCODING {
        return Some("HTTP/2 and SPDY frames mark the end of the body; leave it out");
    }
    if *name == header::UPGRADE {
        return Some("HTTP/2 and SPDY have no upgrades; ask for a tunnel with a ConnectProtocol");
    }
    if name.as_str() == "http2-settings" {
        return Some("only an upgrade from HTTP/1.1 has it; turn on h2c_upgrade, which sets it");
    }
    CONNECTION_SPECIFIC
        .contains(name)
        .then_some("it controls an HTTP/1.1 connection; leave it out")
}

/// An authority in a `host` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Uri(Authority),
    /// An authority that does not fit into a `Uri`, such as `%2Frun%2Fsock` (RFC 3986 §3.2.2).
    Field(HeaderValue),
}

/// Returns the authority of the `host` field. The caller has checked that the field is present.
pub(super) fn host(fields: &HeaderMap) -> Result<Host, RequestError> {
    let mut hosts = fields.get_all(header::HOST).iter();
    let host = hosts.next().map_or(&b""[..], HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(RequestError::SeveralHosts);
    }
    let host = host.trim_ascii();
    if host.contains(&b'@') {
        return Err(RequestError::Userinfo);
    }
    let authority = Authority::try_from(host).ok();
    if let Some(authority) = authority.filter(|authority| !authority.host().is_empty()) {
        return Ok(Host::Uri(authority));
    }
    let value = HeaderValue::from_bytes(host).ok();
    let value = value.filter(|value| is_authority(value.as_bytes()));
    value
        .map(Host::Field)
        .ok_or_else(|| RequestError::InvalidHost {
            host: host.escape_ascii().to_string(),
        })
}

/// Returns the length in `content-length`. The caller has checked that the field is present.
/// Several values must be equal (RFC 9110 §8.6); one of them remains.
pub(super) fn settle_length(fields: &mut HeaderMap) -> Result<u64, RequestError> {
    let values = fields.get_all(header::CONTENT_LENGTH);
    let several = values.iter().nth(1).is_some();
    let length = content_length(values).ok().flatten();
    let length = length.ok_or(RequestError::InvalidContentLength)?;
    if several {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in list {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn what_belongs_to_http_1_is_refused_by_name() {
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("te", "trailers, deflate"),
            ("http2-settings", "AAMAAABk"),
        ] {
            for section in [Section::Head, Section::Trailers] {
                let refused = check_fields(&fields(&[("accept", "a"), (name, value)]), section);
                let Err(RequestError::ForbiddenField { name: named, .. }) = refused else {
                    panic!("{name}: {value} is taken: {refused:?}")
                };
                assert_eq!(named, name);
            }
        }
        let fine = fields(&[("te", "Trailers"), ("content-length", "4"), ("host", "a")]);
        let present = Present {
            host: true,
            length: true,
        };
        assert_eq!(check_fields(&fine, Section::Head), Ok(present));
        for name in ["te", "content-length", "host"] {
            let trailers = fields(&[(name, "trailers")]);
            assert!(
                check_fields(&trailers, Section::Trailers).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_host_is_one_authority() {
        let host_of = |list: &[(&'static str, &'static str)]| host(&fields(list));
        let named = host_of(&[("host", " a.example:81")]).unwrap();
        assert_eq!(named, Host::Uri("a.example:81".parse().unwrap()));
        for host in ["%2Frun%2Fsock", "%2Frun%2Fsock:1"] {
            let named = host_of(&[("host", host)]);
            assert_eq!(named, Ok(Host::Field(HeaderValue::from_static(host))));
        }
        let twice = host_of(&[("host", "a"), ("host", "a")]);
        assert_eq!(twice, Err(RequestError::SeveralHosts));
        assert_eq!(host_of(&[("host", "me@a")]), Err(RequestError::Userinfo));
        for bad in ["", "a b", "a/b", "%2", "%zz", ":1"] {
            let refused = host_of(&[("host", bad)]);
            let expected = RequestError::InvalidHost { host: bad.into() };
            assert_eq!(refused, Err(expected), "{bad}");
        }
    }

    #[test]
    fn lengths_have_to_agree() {
        let length = |values: &[&'static str]| {
            let list: Vec<_> = values
                .iter()
                .map(|value| ("content-length", *value))
                .collect();
            let mut fields = fields(&list);
            let length = settle_length(&mut fields);
            assert!(length.is_err() || fields.len() <= 1);
            length
        };
        assert_eq!(length(&["5"]), Ok(5));
        assert_eq!(length(&["5", "5"]), Ok(5));
        for bad in [
            &["5", "6"][..],
            &["+5"],
            &["-1"],
            &[""],
            &["5, 5"],
            &["0x5"],
        ] {
            assert_eq!(
                length(bad),
                Err(RequestError::InvalidContentLength),
                "{bad:?}"
            );
        }
    }
}
