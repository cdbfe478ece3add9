//! NPN between two ends of OpenSSL, in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read, Write},
    rc::Rc,
};

use lacewing_conn::npn::{self, NoOverlap, NpnError, Preference};
use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    ssl::{
        AlpnError, HandshakeError, MidHandshakeSslStream, NameType, Ssl, SslContext,
        SslContextBuilder, SslMethod, SslStream, SslVersion, select_next_proto,
    },
    x509::{X509, X509NameBuilder},
};

const ALL: [&str; 4] = ["spdy/3.1", "spdy/3", "spdy/2", "http/1.1"];

#[test]
fn each_protocol_is_negotiated() {
    for name in ALL {
        let negotiated = handshake(server(&ALL), client(&[name]));
        assert_eq!(negotiated, both(name));
    }
}

#[test]
fn the_order_of_the_server_counts_or_that_of_the_client() {
    let ours = ["spdy/2", "spdy/3.1", "spdy/3"];
    for (preference, name) in [
        (Preference::Server, "spdy/3"),
        (Preference::Client, "spdy/2"),
    ] {
        let mut client = tls12_client();
        npn::select(&mut client, ours, preference, NoOverlap::FirstChoice).unwrap();
        let server = server(&["http/1.1", "spdy/3", "spdy/2"]);
        assert_eq!(handshake(server, client), both(name), "{preference:?}");
    }
}

#[test]
fn without_overlap_the_client_selects_all_the_same() {
    for (no_overlap, name) in [
        (NoOverlap::FirstChoice, "spdy/3"),
        (NoOverlap::Http1, "http/1.1"),
    ] {
        for advertised in [&["spdy/1"][..], &[]] {
            let mut client = tls12_client();
            npn::select(
                &mut client,
                ["spdy/3", "spdy/2"],
                Preference::Server,
                no_overlap,
            )
            .unwrap();
            let negotiated = handshake(server(advertised), client);
            assert_eq!(negotiated, both(name), "{advertised:?}");
        }
    }
}

#[test]
fn names_of_any_bytes_and_255_of_them_go_through() {
    let mut long = [0xc3_u8; 255];
    long[1] = 0;
    let mut server = tls12_server();
    npn::advertise(&mut server, [&b"spdy/3"[..], &long]).unwrap();
    let mut client = tls12_client();
    npn::select(
        &mut client,
        [long],
        Preference::Server,
        NoOverlap::FirstChoice,
    )
    .unwrap();
    let both = Some(long.to_vec());
    assert_eq!(handshake(server, client), (both.clone(), both));
}

#[test]
fn a_side_without_npn_negotiates_nothing() {
    assert_eq!(handshake(server(&ALL), tls12_client()), (None, None));
    assert_eq!(handshake(tls12_server(), client(&ALL)), (None, None));
}

#[test]
fn where_alpn_is_spoken_it_takes_precedence() {
    let mut server = server(&["spdy/3"]);
    server.set_alpn_select_callback(|_, theirs| {
        select_next_proto(b"\x02h2\x08spdy/3.1", theirs).ok_or(AlpnError::NOACK)
    });
    let mut client = client(&["spdy/3"]);
    client.set_alpn_protos(b"\x08spdy/3.1").unwrap();
    let (server, client) = connect(server.build(), client.build(), None);
    for ssl in [server.ssl(), client.ssl()] {
        assert_eq!(ssl.selected_alpn_protocol(), Some(&b"spdy/3.1"[..]));
        assert_eq!(npn::negotiated(ssl), None);
    }
}

#[test]
fn alpn_that_finds_nothing_leaves_npn_alone() {
    let mut server = server(&["spdy/3"]);
    server.set_alpn_select_callback(|_, _| Err(AlpnError::NOACK));
    let mut client = client(&["spdy/3"]);
    client.set_alpn_protos(b"\x08spdy/3.1").unwrap();
    assert_eq!(handshake(server, client), both("spdy/3"));
}

#[test]
fn tls_1_3_has_no_npn() {
    let mut server = server(&ALL);
    server.set_max_proto_version(None).unwrap();
    let mut client = client(&ALL);
    client.set_max_proto_version(None).unwrap();
    let (server, client) = connect(server.build(), client.build(), None);
    assert_eq!(server.ssl().version_str(), "TLSv1.3");
    assert_eq!(told(&server), None);
    assert_eq!(told(&client), None);
}

#[test]
fn a_second_call_replaces_the_first() {
    let mut server = server(&["spdy/2"]);
    npn::advertise(&mut server, ["spdy/3", "spdy/3.1"]).unwrap();
    let mut client = client(&["spdy/2"]);
    npn::select(
        &mut client,
        ["spdy/3.1"],
        Preference::Server,
        NoOverlap::Http1,
    )
    .unwrap();
    assert_eq!(handshake(server, client), both("spdy/3.1"));
}

/// A server with several names has a context for each, and moves connections between them in the
/// middle of the handshake.
#[test]
fn the_context_that_serves_the_name_is_the_one_that_advertises() {
    let other = server(&["spdy/2"]).build();
    let mut server = server(&["spdy/3.1", "spdy/2"]);
    server.set_servername_callback(move |ssl, _| {
        if ssl.servername(NameType::HOST_NAME) == Some("other.example") {
            ssl.set_ssl_context(&other).unwrap();
        }
        Ok(())
    });
    let (server, client) = (server.build(), client(&["spdy/3.1", "spdy/2"]).build());
    for (name, protocol) in [("other.example", "spdy/2"), ("a.example", "spdy/3.1")] {
        let (server, client) = connect(server.clone(), client.clone(), Some(name));
        assert_eq!((told(&server), told(&client)), both(protocol));
    }
}

/// The callbacks read data of the context, and the context lives as long as its last connection.
#[test]
fn a_connection_outlives_the_handles_of_its_context() {
    let (server, client) = (server(&ALL).build(), client(&ALL).build());
    let connections: Vec<_> = (0..50)
        .map(|_| connect(server.clone(), client.clone(), None))
        .collect();
    drop((server, client));
    for (server, client) in &connections {
        assert_eq!((told(server), told(client)), both("spdy/3.1"));
    }
}

#[test]
fn lists_that_npn_cannot_carry_are_refused() {
    let mut builder = tls12_server();
    let long = [b'x'; 256];
    let refused = npn::advertise(&mut builder, [long]).unwrap_err();
    assert!(matches!(refused, NpnError::NameLength { length: 256 }));
    let many = vec![[b'x'; 255]; 129];
    let refused = npn::advertise(&mut builder, many).unwrap_err();
    assert!(matches!(refused, NpnError::ListLength { length: 33_024 }));
    assert!(refused.to_string().contains("32768"), "{refused}");
    let none: [&str; 0] = [];
    let refused = npn::select(&mut builder, none, Preference::Server, NoOverlap::Http1);
    assert!(matches!(refused, Err(NpnError::NoProtocol)));
    let refused = npn::select(&mut builder, [""], Preference::Server, NoOverlap::Http1);
    assert!(matches!(refused, Err(NpnError::NameLength { length: 0 })));
    // None of the connections left any data behind.
    assert_eq!(handshake(builder, client(&["spdy/3"])), (None, None));
}

/// The longest accepted list also fits into a ServerHello.
#[test]
fn the_longest_list_goes_through() {
    let mut names = vec![[b'x'; 255]; 127];
    names.push([b'y'; 255]);
    let mut server = tls12_server();
    npn::advertise(&mut server, &names).unwrap();
    let mut client = tls12_client();
    let last = names.split_off(127);
    npn::select(
        &mut client,
        &last,
        Preference::Client,
        NoOverlap::FirstChoice,
    )
    .unwrap();
    let both = Some(last[0].to_vec());
    assert_eq!(handshake(server, client), (both.clone(), both));
}

type Told = Option<Vec<u8>>;

fn both(name: &str) -> (Told, Told) {
    let name = Some(name.as_bytes().to_vec());
    (name.clone(), name)
}

fn server(advertised: &[&str]) -> SslContextBuilder {
    let mut builder = tls12_server();
    npn::advertise(&mut builder, advertised).unwrap();
    builder
}

fn client(supported: &[&str]) -> SslContextBuilder {
    let mut builder = tls12_client();
    npn::select(
        &mut builder,
        supported,
        Preference::Server,
        NoOverlap::FirstChoice,
    )
    .unwrap();
    builder
}

fn tls12_server() -> SslContextBuilder {
    let mut builder = SslContext::builder(SslMethod::tls_server()).unwrap();
    builder
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    certificate
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    builder.set_certificate(&certificate.build()).unwrap();
    builder.set_private_key(&key).unwrap();
    builder
}

fn tls12_client() -> SslContextBuilder {
    let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
    builder
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    builder
}

/// The result of the handshake for each side, the server first.
fn handshake(server: SslContextBuilder, client: SslContextBuilder) -> (Told, Told) {
    let (server, client) = connect(server.build(), client.build(), None);
    (told(&server), told(&client))
}

fn told(stream: &SslStream<Pipe>) -> Told {
    npn::negotiated(stream.ssl()).map(<[u8]>::to_vec)
}

type Stream = SslStream<Pipe>;

fn connect(server: SslContext, client: SslContext, name: Option<&str>) -> (Stream, Stream) {
    let (near, far) = Pipe::pair();
    let mut client_ssl = Ssl::new(&client).unwrap();
    if let Some(name) = name {
        client_ssl.set_hostname(name).unwrap();
    }
    let server_ssl = Ssl::new(&server).unwrap();
    drop((server, client));
    assert_eq!(npn::negotiated(&client_ssl), None);
    let mut client = Handshake::of(client_ssl.connect(near));
    let mut server = Handshake::of(server_ssl.accept(far));
    // Five flights, and one for remaining data.
    for _ in 0..6 {
        client = client.go_on();
        server = server.go_on();
    }
    match (server, client) {
        (Handshake::Done(server), Handshake::Done(client)) => (server, client),
        _ => panic!("the handshake does not end"),
    }
}

enum Handshake {
    UnderWay(MidHandshakeSslStream<Pipe>),
    Done(Stream),
}

impl Handshake {
    fn of(result: Result<Stream, HandshakeError<Pipe>>) -> Self {
        match result {
            Ok(stream) => Self::Done(stream),
            Err(HandshakeError::WouldBlock(stream)) => Self::UnderWay(stream),
            Err(error) => panic!("{error}"),
        }
    }

    fn go_on(self) -> Self {
        match self {
            Self::UnderWay(stream) => Self::of(stream.handshake()),
            done => done,
        }
    }
}

/// One end of a connection in memory.
#[derive(Debug)]
struct Pipe {
    input: Rc<RefCell<VecDeque<u8>>>,
    output: Rc<RefCell<VecDeque<u8>>>,
}

impl Pipe {
    fn pair() -> (Self, Self) {
        let (a, b) = (Rc::default(), Rc::default());
        let far = Self {
            input: Rc::clone(&b),
            output: Rc::clone(&a),
        };
        (
            Self {
                input: a,
                output: b,
            },
            far,
        )
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.borrow_mut().read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
