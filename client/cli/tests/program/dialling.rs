//! Ways to a server, and the certificates on them.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, Response};
use lacewing_server::{Identity, RequestBody, Server, ServerBuilder, service_fn};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use super::{
    lacewing::{ended, run},
    servers,
};
use crate::support::any_port;

/// Files that go with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lacewing-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the target of a request, and the facts about its client.
async fn tell(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let info = request.body().connection().unwrap();
    let peer = info.peer_addr().map(|address| address.ip().to_string());
    let peer = peer.unwrap_or_else(|| "no address".to_owned());
    let shown = info.tls().map_or(0, |tls| tls.peer_certificates().len());
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers()["host"].to_str().unwrap(),
    };
    let host = host.split(':').next().unwrap();
    Ok(Response::new(format!("{host} from {peer} with {shown}")))
}

/// Serves [`tell`]; returns the address, if there is one.
fn telling(server: ServerBuilder) -> Option<SocketAddr> {
    servers::serve(server, service_fn(tell))
}

fn get(args: &[&str]) -> (Option<i32>, String, String) {
    ended(&run(&[&["get"], args].concat()))
}

/// An authority, a server's certificate and a client's in files, and a server that asks for the
/// latter.
fn authority(folder: &Folder) -> SocketAddr {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    fs::write(folder.file("ca.pem"), root.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["app.example", "client.example"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &issuer).unwrap();
        let (signed, key) = (signed.pem(), key.serialize_pem());
        fs::write(folder.file(&format!("{name}.pem")), &signed).unwrap();
        fs::write(folder.file(&format!("{name}.key")), &key).unwrap();
        fs::write(folder.file(&format!("{name}.both")), signed + &key).unwrap();
    }
    let identity = Identity::from_pem_files(
        folder.file("app.example.pem"),
        folder.file("app.example.key"),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
        .with_cert_resolver(identity.unwrap().resolver());
    telling(Server::builder().bind_tls(any_port(), config)).unwrap()
}

#[test]
fn certificates_come_from_files() {
    let folder = Folder::new("get-certificates");
    let port = authority(&folder).port();
    let url = format!("https://app.example:{port}/");
    let there = format!("app.example:{port}:127.0.0.1");
    let (ca, cert, key) = (
        folder.file("ca.pem"),
        folder.file("client.example.pem"),
        folder.file("client.example.key"),
    );
    let trusted = ["--resolve", &there, "--cacert", &ca];
    let both = folder.file("client.example.both");
    for (args, count) in [
        (&[][..], 0),
        (&["--cert", &cert, "--key", &key], 1),
        (&["-E", &both], 1),
    ] {
        let (code, out, said) = get(&[&trusted, args, &[&url]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(out, format!("app.example from 127.0.0.1 with {count}"));
    }
    let (code, _, said) = get(&["--resolve", &there, &url]);
    assert_eq!(code, Some(60), "{said}");
    assert!(said.contains("--cacert"), "{said}");
    // An authority that did not sign it is as good as none.
    let (code, _, said) = get(&["--resolve", &there, "--cacert", &cert, &url]);
    assert_eq!(code, Some(60), "{said}");

    // What cannot be read is named.
    for (args, named) in [
        (&["--cacert", "/no/ca.pem"][..], "/no/ca.pem"),
        (&["--cert", "/no/cert.pem"], "/no/cert.pem"),
        (&["--cert", &cert, "--key", "/no/key.pem"], "/no/key.pem"),
        (&["--cert", &cert, "--key", &cert], &cert),
    ] {
        let (code, _, said) = get(&[args, &[&url]].concat());
        assert_eq!(
            code,
            Some(if args.contains(&"--cacert") { 77 } else { 58 }),
            "{said}"
        );
        assert!(said.contains(named), "{said}");
    }
}

#[test]
fn a_name_leads_where_the_command_line_says() {
    let address = telling(Server::builder().bind(any_port())).unwrap();
    let port = address.port();
    let url = format!("http://nowhere.invalid:{port}/");
    // The last one counts, and only for its port.
    let entries = [
        format!("nowhere.invalid:{port}:192.0.2.1"),
        format!("NOWHERE.invalid:{port}:[::1],127.0.0.1"),
        "nowhere.invalid:1:192.0.2.1".to_owned(),
    ];
    let args: Vec<_> = entries
        .iter()
        .flat_map(|entry| ["--resolve", entry])
        .chain([&*url])
        .collect();
    let (code, out, said) = get(&args);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(out, "nowhere.invalid from 127.0.0.1 with 0");
    let url = format!("http://127.0.0.1:{port}/");
    for flag in ["--local-address", "--interface"] {
        let (code, out, said) = get(&[flag, "127.0.0.2", &url]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(out, "127.0.0.1 from 127.0.0.2 with 0");
    }
}

/// The names in TLS and in requests stay those of the URL.
#[test]
fn a_connection_goes_elsewhere_with_the_names_that_it_had() {
    let folder = Folder::new("get-connect-to");
    let port = authority(&folder).port();
    let ca = folder.file("ca.pem");
    for detour in [
        format!("app.example:443:127.0.0.1:{port}"),
        format!("::127.0.0.1:{port}"),
        format!("APP.example::localhost:{port}"),
    ] {
        let args = ["--connect-to", &detour, "--cacert", &ca];
        let (code, out, said) = get(&[&args[..], &["https://app.example/"]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(out, "app.example from 127.0.0.1 with 0");
    }
    // The first that fits counts, and --resolve is for the name that it has.
    let there = format!("app.example:443:elsewhere.invalid:{port}");
    let resolve = format!("elsewhere.invalid:{port}:127.0.0.1");
    let args = [
        "--connect-to",
        "other.example:443:192.0.2.1:1",
        "--connect-to",
        &there,
    ];
    let more = [
        "--connect-to",
        "::192.0.2.1:1",
        "--resolve",
        &resolve,
        "--cacert",
        &ca,
    ];
    let (code, out, said) = get(&[&args[..], &more, &["https://app.example/"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(out, "app.example from 127.0.0.1 with 0");
    let (code, _, said) = get(&["--connect-to", "a:1:b", "http://a.example/"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("HOST1:PORT1:HOST2:PORT2"), "{said}");
}

#[test]
fn a_unix_socket_stands_for_every_host() {
    let folder = Folder::new("get-unix");
    let path = folder.file("socket");
    telling(Server::builder().bind_unix(Path::new(&path)));
    for (args, host) in [
        (&[][..], "app.example"),
        (&["-H", "host: %2Frun%2Fapp.sock"], "%2Frun%2Fapp.sock"),
    ] {
        for protocol in ["h2", "spdy/3.1", "spdy/2"] {
            let way = ["--unix-socket", &path, "--protocol", protocol];
            let (code, out, said) = get(&[&way, args, &["http://app.example/"]].concat());
            assert_eq!(code, Some(0), "{said}");
            assert_eq!(out, format!("{host} from no address with 0"), "{protocol}");
        }
    }
    let (code, _, said) = get(&["--unix-socket", "/no/socket", "http://app.example/"]);
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("/no/socket"), "{said}");
}
