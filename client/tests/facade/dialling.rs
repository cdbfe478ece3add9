//! The user's own transports: names, addresses, sockets, tunnels. Over all of them, the client does
//! TLS and the choice of a protocol.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use lacewing_client::{
    AddressErrors, Body, Client, ClientError, Origin, ResolveError, Tcp, Version, dial_fn,
    resolve_fn,
};
use lacewing_server::{ConnectionInfo, RequestBody, Server, ServerOptions, service_fn};
use tokio::net::TcpListener;

use crate::support::{Witness, any_port, listen, serve, text};

/// A server that responds with the client's address and the request's URI.
async fn server() -> SocketAddr {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let info = request.body().connection();
        let peer = info
            .and_then(ConnectionInfo::peer_addr)
            .map(|peer| peer.ip());
        Ok::<_, Infallible>(Response::new(format!("{} for {peer:?}", request.uri())))
    });
    listen(Server::builder().bind(any_port()), service).await
}

/// An address of this machine without a listener.
async fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn dialling(version: Version, tcp: Tcp) -> Client {
    Client::builder()
        .cleartext_protocol(version)
        .dial(tcp)
        .build()
}

async fn fetch(client: &Client, uri: &str) -> Result<String, ClientError> {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    Ok(text(client.request(request).await?).await)
}

#[tokio::test]
async fn a_resolver_of_ones_own_is_asked_for_names_only() {
    let address = server().await;
    for version in Version::ALL {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        let resolver = resolve_fn(move |host: String, port| {
            counting.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!((host.as_str(), port), ("app.example", 80));
                Ok::<_, io::Error>(vec![address])
            }
        });
        let client = dialling(version, Tcp::new().resolver(resolver));
        let said = fetch(&client, "http://app.example/x").await.unwrap();
        assert!(
            said.starts_with("http://app.example/x"),
            "{version}: {said}"
        );
        fetch(&client, &format!("http://{address}/")).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
    let failing = resolve_fn(|_, _| async { Err::<Vec<SocketAddr>, _>("no such name") });
    let client = dialling(Version::Http2, Tcp::new().resolver(failing));
    let error = fetch(&client, "http://app.example/").await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("no such name"), "{error}");
    let empty = resolve_fn(|_, _| async { Ok::<_, io::Error>(Vec::new()) });
    let client = dialling(Version::Http2, Tcp::new().resolver(empty));
    let error = fetch(&client, "http://app.example/").await.unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
}

#[tokio::test]
async fn a_host_is_where_the_user_says() {
    let address = server().await;
    // With the port of the URI, and with its own port.
    for (port, to) in [(address.port(), (address.ip(), 0).into()), (1, address)] {
        let client = dialling(Version::Http2, Tcp::new().resolve_to("App.example", [to]));
        let uri = format!("http://app.EXAMPLE:{port}/");
        let said = fetch(&client, &uri).await.unwrap();
        assert!(
            said.to_lowercase().starts_with("http://app.example"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn dead_addresses_are_passed_by() {
    let (live, dead) = (server().await, dead().await);
    // The addresses of the documentation prefix (RFC 3849) lead nowhere.
    let nowhere: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
    for version in Version::ALL {
        let tcp = Tcp::new()
            .resolve_to("app.example", [nowhere, dead, live])
            .attempt_delay(Duration::from_millis(1));
        let said = fetch(&dialling(version, tcp), "http://app.example/").await;
        assert!(said.is_ok(), "{version}: {said:?}");
    }
}

#[tokio::test]
async fn if_no_address_answers_the_error_has_that_of_each() {
    let addresses = [dead().await, dead().await];
    let tcp = Tcp::new().resolve_to("app.example", addresses);
    let error = fetch(&dialling(Version::Http2, tcp), "http://app.example/").await;
    let error = error.unwrap_err();
    let text = error.to_string();
    for address in addresses {
        assert!(text.contains(&format!("{address}: ")), "{text}");
    }
    let ClientError::Connect { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let each = source
        .get_ref()
        .and_then(|error| error.downcast_ref::<AddressErrors>());
    assert_eq!(each.unwrap().errors().len(), 2);
}

/// The resolver fails, or has no address: neither is a host that refuses connections.
#[tokio::test]
async fn a_name_without_an_address_is_told_apart() {
    let none = Tcp::new().resolver(resolve_fn(|_, _| async { Ok::<_, io::Error>(Vec::new()) }));
    let fails = Tcp::new().resolver(resolve_fn(|_, _| async {
        Err::<Vec<_>, _>(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
    }));
    for (tcp, kind, text) in [
        (none, io::ErrorKind::NotFound, "the name has no address"),
        (fails, io::ErrorKind::TimedOut, "no answer"),
    ] {
        let error = fetch(&dialling(Version::Http2, tcp), "http://app.example/").await;
        let ClientError::Connect { source, .. } = error.unwrap_err() else {
            panic!("{text}")
        };
        assert_eq!((source.kind(), &*source.to_string()), (kind, text));
        assert!(source.get_ref().unwrap().is::<ResolveError>(), "{text}");
    }
}

/// On Linux, all of 127/8 is this machine.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_come_from_the_local_address() {
    let address = server().await;
    let local = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    let client = dialling(Version::Http2, Tcp::new().local_address(local));
    let said = fetch(&client, &format!("http://{address}/")).await.unwrap();
    assert!(said.contains("127.0.0.9"), "{said}");
    // Only addresses of its family are tried.
    let error = fetch(&client, "http://[::1]:1/").await.unwrap_err();
    assert!(error.to_string().contains("family"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_way() {
    let path = std::env::temp_dir().join(format!("lacewing-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let versions = Arc::clone(&next);
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let version = Version::ALL[versions.load(Ordering::SeqCst)];
            let service = service_fn(|request: Request<RequestBody>| async move {
                Ok::<_, Infallible>(Response::new(request.uri().to_string()))
            });
            let options = ServerOptions::default();
            tokio::spawn(lacewing_server::serve_connection(
                io, version, options, service,
            ));
        }
    });
    for (index, version) in Version::ALL.into_iter().enumerate() {
        next.store(index, Ordering::SeqCst);
        let unix = lacewing_client::Unix::new(&path);
        let client = Client::builder()
            .cleartext_protocol(version)
            .dial(unix)
            .build();
        let said = fetch(&client, "http://localhost/x").await.unwrap();
        assert_eq!(said, "http://localhost/x", "{version}");
    }
    std::fs::remove_file(&path).unwrap();
    let client = Client::builder()
        .cleartext_protocol(Version::Http2)
        .dial(lacewing_client::Unix::new(&path))
        .build();
    let error = fetch(&client, "http://localhost/x")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_dial_in_memory_knows_the_origin() {
    for version in Version::ALL {
        let dial = dial_fn(move |origin: Origin| async move {
            if origin.host() != "here.example" {
                return Err("only here");
            }
            let (client, server) = tokio::io::duplex(64 * 1024);
            serve(
                server,
                version,
                ServerOptions::default(),
                Witness::default(),
            );
            Ok(client)
        });
        let client = Client::builder()
            .cleartext_protocol(version)
            .dial(dial)
            .build();
        let said = fetch(&client, "http://here.example/hello").await.unwrap();
        assert_eq!(said, "hello world");
        let error = fetch(&client, "http://there.example/hello")
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }));
        assert!(error.to_string().contains("only here"), "{error}");
    }
}

/// A dial that hangs ends after `connect_timeout`.
#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_ends() {
    let dial = dial_fn(|_| std::future::pending::<Result<tokio::io::DuplexStream, io::Error>>());
    let client = Client::builder()
        .cleartext_protocol(Version::Http2)
        .dial(dial)
        .connect_timeout(Duration::from_secs(3))
        .build();
    let error = fetch(&client, "http://a.example/").await.unwrap_err();
    assert!(
        matches!(error, ClientError::ConnectTimeout { .. }),
        "{error}"
    );
}
