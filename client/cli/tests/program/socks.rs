//! `get` through SOCKS proxies.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use lacewing_client::Version;

use super::{
    proxy::{Proxy, get, join},
    servers::{self_signed, server},
};

/// A SOCKS proxy that knows `user` with `pass`, or lets everyone in; and the targets that it got.
struct Socks {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    /// Answers with this code (RFC 1928 §6).
    fn start(secret: bool, answer: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&targets);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, seen) = (client.unwrap(), Arc::clone(&seen));
                // A client that leaves early ends only its own thread.
                thread::spawn(move || socks(client, secret, answer, &seen));
            }
        });
        Self { address, targets }
    }
}

fn bytes<const N: usize>(io: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(io: &mut TcpStream) -> std::io::Result<String> {
    let [len] = bytes(io)?;
    let mut text = vec![0; len.into()];
    io.read_exact(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

fn socks(
    mut io: TcpStream,
    secret: bool,
    answer: u8,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let [5, count] = bytes(&mut io)? else {
        panic!("no SOCKS 5")
    };
    let mut methods = vec![0; count.into()];
    io.read_exact(&mut methods)?;
    let method = if secret { 2 } else { 0 };
    if !methods.contains(&method) {
        return io.write_all(&[5, 0xff]);
    }
    io.write_all(&[5, method])?;
    if secret {
        let [1] = bytes(&mut io)? else { panic!() };
        let right = (text(&mut io)?, text(&mut io)?) == ("user".into(), "pass".into());
        io.write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(());
        }
    }
    let [5, 1, 0, kind] = bytes(&mut io)? else {
        panic!()
    };
    let host = match kind {
        1 => std::net::Ipv4Addr::from(bytes::<4>(&mut io)?).to_string(),
        4 => std::net::Ipv6Addr::from(bytes::<16>(&mut io)?).to_string(),
        _ => text(&mut io)?,
    };
    let port = u16::from_be_bytes(bytes(&mut io)?);
    seen.lock().unwrap().push(format!("{host} {port}"));
    io.write_all(&[5, answer, 0, 1, 0, 0, 0, 0, 0, 0])?;
    if answer == 0 {
        join(io, port);
    }
    Ok(())
}

#[test]
fn every_protocol_passes_a_socks_proxy() {
    let (open, secret) = (Socks::start(false, 0), Socks::start(true, 0));
    for version in Version::ALL {
        let port = server(version).port();
        let url = format!("http://no-such-host.invalid:{port}/hello");
        let proxied = format!("socks5h://{}", open.address);
        let args = ["-x", &proxied, "-p", version.alpn(), &url];
        let (code, out, said) = get(&[], &args);
        assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
        let target = open.targets.lock().unwrap().pop().unwrap();
        assert_eq!(target, format!("no-such-host.invalid {port}"));
    }
    let port = self_signed().port();
    let url = format!("https://localhost:{port}/hello");
    // Names are ours, as --resolve has them; the proxy gets an address.
    let proxied = format!("socks5://{}", secret.address);
    let resolve = format!("localhost:{port}:127.0.0.9");
    let args = [
        "-k",
        "-x",
        &proxied,
        "-U",
        "user:pass",
        "--resolve",
        &resolve,
        &url,
    ];
    let (code, out, said) = get(&[], &args);
    assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
    // Addresses are no names.
    let proxied = format!("socks5h://user:pass@{}", secret.address);
    let six = format!("https://[::1]:{port}/hello");
    let (code, out, said) = get(&[("https_proxy", &proxied)], &["-k", &six]);
    assert_eq!((code, out.as_str()), (Some(0), "hello world"), "{said}");
    let targets = secret.targets.lock().unwrap().clone();
    assert_eq!(
        targets,
        [format!("127.0.0.9 {port}"), format!("::1 {port}")]
    );
}

#[test]
fn a_socks_proxy_that_makes_no_tunnel_is_named() {
    let (secret, refusing) = (Socks::start(true, 0), Socks::start(false, 5));
    let not_socks = Proxy::start("200 OK");
    for (address, user, text) in [
        (secret.address, &[][..], "--proxy-user"),
        (
            secret.address,
            &["-U", "user:wrong"],
            "does not accept this name",
        ),
        (refusing.address, &[], "Connection refused"),
    ] {
        let proxied = format!("socks5h://{address}");
        let args = [&["-x", &proxied, "http://a.example/"], user].concat();
        let (code, _, said) = get(&[], &args);
        assert_eq!(code, Some(97), "{said}");
        let named = format!("the proxy {address} makes no tunnel by SOCKS: ");
        assert!(said.contains(&named) && said.contains(text), "{said}");
    }
    // One that says nothing has an end.
    let proxied = format!("socks5h://{}", not_socks.address);
    let args = [
        "-x",
        &proxied,
        "--connect-timeout",
        "1",
        "http://a.example/",
    ];
    let (code, _, said) = get(&[], &args);
    assert_eq!(code, Some(28), "{said}");
    // A name of ours that has no address.
    let proxied = format!("socks5://{}", refusing.address);
    let (code, _, said) = get(&[], &["-x", &proxied, "http://no-such-host.invalid/"]);
    assert_eq!(code, Some(6), "{said}");
}
