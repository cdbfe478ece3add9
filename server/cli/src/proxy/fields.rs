//! Header fields on their way through the proxy (RFC 9110 §7.6).

use std::{
    cell::RefCell,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, Entry, FORWARDED, HOST, MAX_FORWARDS, TE, TRAILER,
        TRANSFER_ENCODING, VIA,
    },
};
use lacewing_server::{ConnectionInfo, Protocol};

use super::{
    failure::{Failure, Kind, PSEUDONYM},
    settings::Network,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Fields that the proxy sets, and those that frame a message. A program behind a gateway such as
/// CGI cannot tell `x_forwarded_for` from `x-forwarded-for`, so the former never passes.
const GUARDED: [&str; 13] = [
    "connection",
    "content_length",
    "forwarded",
    "host",
    "max_forwards",
    "proxy_connection",
    "te",
    "transfer_encoding",
    "via",
    "x_forwarded_for",
    "x_forwarded_host",
    "x_forwarded_proto",
    "x_real_ip",
];

/// Fields that a request gets, `via` and `te` among them.
const ADDED: usize = 7;

/// A request goes through this proxy at most so often.
const MAX_ROUNDS: usize = 8;

/// The facts about a client that an upstream learns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) peer: Option<SocketAddr>,
    pub(super) scheme: &'static str,
    pub(super) protocol: Protocol,
    /// The host that it asked for.
    pub(super) host: Option<&'a [u8]>,
}

impl<'a> Client<'a> {
    pub(super) fn of(info: Option<&ConnectionInfo>, host: Option<&'a [u8]>) -> Self {
        Self {
            peer: info.and_then(ConnectionInfo::peer_addr),
            scheme: match info.is_some_and(ConnectionInfo::is_tls) {
                true => "https",
                false => "http",
            },
            protocol: info.map_or(Protocol::Http1, ConnectionInfo::protocol),
            host,
        }
    }
}

/// Returns whether a field is for one connection.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Returns whether a client may claim to be another in this field.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "forwarded" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" | "x-real-ip"
    )
}

/// The clients whose claims are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claims {
    Believed,
    Removed,
}

/// The fields of a request that need a closer look. One pass over the names costs less than a
/// look-up of each.
#[derive(Debug, Default)]
struct Noted {
    /// Those that end here.
    doomed: Vec<HeaderName>,
    /// It has both a length and chunks.
    contradicts: bool,
    has_cookies: bool,
    has_via: bool,
}

impl Noted {
    fn of(fields: &HeaderMap, claims: Claims) -> Self {
        let mut noted = Self::default();
        let (mut chunks, mut length) = (false, false);
        for name in fields.keys() {
            chunks |= *name == TRANSFER_ENCODING;
            length |= *name == CONTENT_LENGTH;
            noted.has_cookies |= *name == COOKIE;
            noted.has_via |= *name == VIA;
            let text = name.as_str();
            if is_hop_by_hop(text)
                || claims == Claims::Removed && is_claim(text)
                || is_guarded(text)
            {
                noted.doomed.push(name.clone());
            }
        }
        noted.contradicts = chunks && length;
        noted
    }
}

/// Removes fields for the connection, those that a `connection` field names, and others that never
/// pass. Returns whether the message accepts trailers.
fn remove_what_ends_here(
    fields: &mut HeaderMap,
    mut doomed: Vec<HeaderName>,
) -> Result<bool, Failure> {
    if doomed.is_empty() {
        return Ok(false);
    }
    let trailers = has_token(fields, &TE, "trailers");
    doomed.extend(tokens(fields, &CONNECTION).filter_map(|token| token.parse().ok()));
    for name in doomed {
        if name == CONTENT_LENGTH || name == HOST {
            let cause = format!("its field `connection` names `{name}`, which is for all");
            return Err(Failure::new(Kind::BadRequest, cause));
        }
        fields.remove(name);
    }
    Ok(trailers)
}

/// Makes the fields of a request those of the request to an upstream.
pub(super) fn of_request(
    fields: &mut HeaderMap,
    method: &Method,
    client: Client<'_>,
    trusted: &[Network],
) -> Result<(), Failure> {
    let trusts = |peer: IpAddr| trusted.iter().any(|network| network.contains(peer));
    let claims = match client.peer.is_some_and(|peer| trusts(peer.ip())) {
        true => Claims::Believed,
        false => Claims::Removed,
    };
    let noted = Noted::of(fields, claims);
    if noted.contradicts {
        let cause = "it has both content-length and transfer-encoding (RFC 9112 §6.1)";
        return Err(Failure::new(Kind::BadRequest, cause));
    }
    if remove_what_ends_here(fields, noted.doomed)? {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if *method == Method::OPTIONS {
        count_down(fields)?;
    }
    if noted.has_cookies {
        join_cookies(fields);
    }
    tell_client(fields, client);
    let rounds = || tokens(fields, &VIA).filter(|token| token.ends_with(PSEUDONYM));
    if noted.has_via && rounds().count() >= MAX_ROUNDS {
        let cause = format!("its field `via` has this proxy {MAX_ROUNDS} times");
        return Err(Failure::new(Kind::Loop, cause));
    }
    append(fields, VIA, HeaderValue::from_static(via(client.protocol)));
    Ok(())
}

/// Makes the fields of an upstream's response those of the response to a client. `version` is that
/// of the upstream's response.
pub(super) fn of_response(fields: &mut HeaderMap, version: http::Version) {
    let mut doomed: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str()))
        .cloned()
        .collect();
    if doomed.contains(&CONNECTION) {
        // The content is still framed by its length.
        let named = tokens(fields, &CONNECTION).filter_map(|token| token.parse().ok());
        doomed.extend(named.filter(|name| *name != CONTENT_LENGTH));
    }
    for name in doomed {
        fields.remove(name);
    }
    let received = match version {
        http::Version::HTTP_2 => Protocol::Http2,
        _ => Protocol::Http1,
    };
    append(fields, VIA, HeaderValue::from_static(via(received)));
}

/// RFC 9110 §7.6.3: the protocol that the message was received by, and the name of the recipient.
fn via(received: Protocol) -> &'static str {
    match received {
        Protocol::Http2 => "2 lacewingd",
        Protocol::Spdy31 => "SPDY/3.1 lacewingd",
        Protocol::Spdy3 => "SPDY/3 lacewingd",
        Protocol::Spdy2 => "SPDY/2 lacewingd",
        _ => "1.1 lacewingd",
    }
}

/// RFC 9110 §7.6.2.
fn count_down(fields: &mut HeaderMap) -> Result<(), Failure> {
    let Some(value) = fields.get(MAX_FORWARDS) else {
        return Ok(());
    };
    let left: Option<u32> = value.to_str().ok().and_then(|text| text.parse().ok());
    match left.map(|left| left.checked_sub(1)) {
        Some(Some(left)) => {
            fields.insert(MAX_FORWARDS, left.into());
            Ok(())
        }
        Some(None) => Err(Failure::new(Kind::NotForwarded, "its max-forwards is 0")),
        None => Err(Failure::new(
            Kind::BadRequest,
            "its max-forwards is no number",
        )),
    }
}

/// HTTP/2 and SPDY may split cookies (RFC 9113 §8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let mut cookies = fields.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = fields
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        fields.insert(COOKIE, joined);
    }
}

/// Adds what the client is: RFC 7239, and its predecessors.
fn tell_client(fields: &mut HeaderMap, client: Client<'_>) {
    let Told {
        forwarded,
        address,
        host,
    } = told(client);
    fields.reserve(ADDED);
    append(fields, FORWARDED, forwarded);
    if let Some(address) = address {
        append(fields, X_FORWARDED_FOR, address.clone());
        fields.entry(X_REAL_IP).or_insert(address);
    }
    if let Some(host) = host {
        fields.entry(X_FORWARDED_HOST).or_insert(host);
    }
    let scheme = HeaderValue::from_static(client.scheme);
    fields.entry(X_FORWARDED_PROTO).or_insert(scheme);
}

/// The values that tell of a client.
#[derive(Clone, Debug)]
struct Told {
    forwarded: HeaderValue,
    address: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

/// What the last values of a thread tell of: an address, a scheme and a host.
type About = (Option<IpAddr>, &'static str, Option<HeaderValue>);

thread_local! {
    /// The requests of a connection follow each other, and have the same values.
    static LAST: RefCell<Option<(About, Told)>> = const { RefCell::new(None) };
}

fn told(client: Client<'_>) -> Told {
    let ip = client.peer.map(|peer| peer.ip().to_canonical());
    LAST.with_borrow_mut(|last| {
        if let Some(((address, scheme, host), told)) = last
            && *address == ip
            && *scheme == client.scheme
            && host.as_ref().map(HeaderValue::as_bytes) == client.host
        {
            return told.clone();
        }
        let host = client.host.filter(|host| !host.is_empty());
        let host = host.and_then(|host| HeaderValue::from_bytes(host).ok());
        let told = Told {
            forwarded: forwarded(ip, client.scheme, host.as_ref()),
            address: ip.and_then(|ip| HeaderValue::try_from(ip.to_string()).ok()),
            host: host.clone(),
        };
        *last = Some(((ip, client.scheme, host), told.clone()));
        told
    })
}

/// One element of RFC 7239.
fn forwarded(ip: Option<IpAddr>, scheme: &str, host: Option<&HeaderValue>) -> HeaderValue {
    let mut element = String::with_capacity(64);
    match ip {
        Some(IpAddr::V4(ip)) => drop(write!(element, "for={ip}")),
        Some(IpAddr::V6(ip)) => drop(write!(element, "for=\"[{ip}]\"")),
        None => element.push_str("for=unknown"),
    }
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        // An authority has neither quotation marks nor backslashes.
        if !host.contains(['"', '\\']) {
            let _ = write!(element, ";host=\"{host}\"");
        }
    }
    let _ = write!(element, ";proto={scheme}");
    HeaderValue::try_from(element).unwrap_or(HeaderValue::from_static("for=unknown"))
}

/// Adds an element to a list, which becomes one field.
fn append(fields: &mut HeaderMap, name: HeaderName, element: HeaderValue) {
    match fields.entry(name) {
        Entry::Vacant(place) => {
            place.insert(element);
        }
        Entry::Occupied(mut place) => {
            let mut list: Vec<u8> = Vec::new();
            for value in place.iter() {
                list.extend_from_slice(value.as_bytes());
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(element.as_bytes());
            place.insert(HeaderValue::from_bytes(&list).unwrap_or(element));
        }
    }
}

fn is_guarded(name: &str) -> bool {
    name.contains('_')
        && GUARDED.iter().any(|guarded| {
            name.len() == guarded.len()
                && name
                    .bytes()
                    .zip(guarded.bytes())
                    .all(|(byte, guarded)| byte == guarded || guarded == b'_' && byte == b'-')
        })
}

/// The members of a list of tokens.
pub(super) fn tokens<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    let values = fields.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

pub(super) fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(fields, name).any(|one| one.eq_ignore_ascii_case(token))
}

/// The names that `trailer` declares.
pub(super) fn declared_trailers(fields: &HeaderMap) -> Vec<HeaderName> {
    tokens(fields, &TRAILER)
        .filter_map(|name| name.parse().ok())
        .collect()
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

    fn forwarded(
        list: &[(&'static str, &'static str)],
        peer: &str,
        trusted: &[Network],
    ) -> Result<HeaderMap, Failure> {
        let mut fields = fields(list);
        let client = Client {
            peer: Some(peer.parse().unwrap()),
            scheme: "https",
            protocol: Protocol::Http2,
            host: Some(b"a.example:81"),
        };
        of_request(&mut fields, &Method::OPTIONS, client, trusted)?;
        Ok(fields)
    }

    #[test]
    fn what_is_for_the_connection_ends_here() {
        let sent = [
            ("connection", "x-secret, Keep-Alive"),
            ("connection", "close"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip, Trailers;q=0.5, trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("x_forwarded_for", "spoof"),
            ("x-forwarded_for", "spoof"),
            ("content_length", "5"),
            ("my_field", "stays"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("max-forwards", "3"),
        ];
        let fields = forwarded(&sent, "192.0.2.1:9", &[]).unwrap();
        let mut left: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        let expected = [
            "cookie: a=1; b=2",
            "forwarded: for=192.0.2.1;host=\"a.example:81\";proto=https",
            "max-forwards: 2",
            "my_field: stays",
            "te: trailers",
            "via: 2 lacewingd",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: a.example:81",
            "x-forwarded-proto: https",
            "x-real-ip: 192.0.2.1",
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn a_client_is_believed_only_if_it_is_trusted() {
        let spoof = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
            ("x-forwarded-proto", "http"),
        ];
        let fields = forwarded(&spoof, "[2001:db8::1]:9", &[]).unwrap();
        assert_eq!(fields["x-forwarded-for"], "2001:db8::1");
        assert_eq!(
            fields["forwarded"],
            "for=\"[2001:db8::1]\";host=\"a.example:81\";proto=https"
        );
        assert_eq!(fields["x-forwarded-proto"], "https");
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let fields = forwarded(&spoof, "10.1.2.3:9", &trusted).unwrap();
        assert_eq!(fields["x-forwarded-for"], "203.0.113.9, 10.1.2.3");
        assert_eq!(
            fields["forwarded"],
            "for=203.0.113.9, for=10.1.2.3;host=\"a.example:81\";proto=https"
        );
        assert_eq!(fields["x-forwarded-proto"], "http");
    }

    #[test]
    fn what_must_not_pass_is_refused() {
        for (list, kind) in [
            (&[("connection", "content-length")][..], Kind::BadRequest),
            (&[("connection", "Host")], Kind::BadRequest),
            (
                &[("content-length", "1"), ("transfer-encoding", "chunked")],
                Kind::BadRequest,
            ),
            (&[("max-forwards", "0")], Kind::NotForwarded),
            (&[("max-forwards", "x")], Kind::BadRequest),
            (&[("via", "2 lacewingd"); 8], Kind::Loop),
        ] {
            let refused = forwarded(list, "192.0.2.1:9", &[]);
            assert_eq!(
                refused.map_err(|failure| failure.kind).unwrap_err(),
                kind,
                "{list:?}"
            );
        }
    }

    #[test]
    fn a_response_keeps_what_is_for_the_client() {
        let mut response = fields(&[
            ("connection", "x-hop, content-length"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("via", "1.1 other"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
        ]);
        of_response(&mut response, http::Version::HTTP_11);
        assert_eq!(response.len(), 4);
        assert_eq!(response["via"], "1.1 other, 1.1 lacewingd");
        assert_eq!(response["content-length"], "5");
        assert_eq!(response.get_all("set-cookie").iter().count(), 2);
    }
}
