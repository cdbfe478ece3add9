//! lacewingd as the reverse proxy: real servers behind it, real clients before it. Neither side
//! was written here.

use super::fixture::{Fixture, MB_1, MB_50, MB_100, SMALL, Security, Shared, Started};
use super::http2::nghttp2::loaded;
use super::http2::{post_digest, same_file};
use super::process::{Server, free_port};
use super::proxies::nginx_with;
use super::{Case, Outcome, expect, grpc, spdy};
use std::process::Command;

/// A server behind the proxy.
#[derive(Clone, Copy)]
struct Upstream {
    /// As it stands in the names of cases.
    name: &'static str,
    /// The scheme of its address.
    scheme: &'static str,
    server: Behind,
    security: Security,
    /// It answers `POST /digest` with the digest of the content.
    digests: bool,
    /// The largest file that it sends whole.
    large: &'static str,
}

#[derive(Clone, Copy)]
enum Behind {
    Shared(Shared),
    /// nginx with the files in HTTP/1.1, which closes each connection after so many requests.
    NginxHttp1(u32),
}

const fn upstream(name: &'static str, scheme: &'static str, shared: Shared) -> Upstream {
    Upstream {
        name,
        scheme,
        server: Behind::Shared(shared),
        security: Security::Plain,
        digests: true,
        large: MB_100,
    }
}

const UPSTREAMS: [Upstream; 9] = [
    Upstream {
        server: Behind::NginxHttp1(50),
        digests: false,
        ..upstream("nginx-http1", "http", Shared::Site)
    },
    upstream("hyper-h2c", "h2c", Shared::HyperPlain),
    Upstream {
        digests: false,
        ..upstream("nghttpd-h2c", "h2c", Shared::NghttpdPlain)
    },
    Upstream {
        security: Security::Tls,
        ..upstream("go-https", "https", Shared::GoHttp2Tls)
    },
    Upstream {
        large: MB_50,
        ..upstream("node-spdy2", "spdy2", Shared::NodeSpdy2)
    },
    Upstream {
        large: MB_50,
        ..upstream("node-spdy3", "spdy3", Shared::NodeSpdy3)
    },
    Upstream {
        large: MB_50,
        ..upstream("node-spdy31", "spdy31", Shared::NodeSpdy31)
    },
    Upstream {
        security: Security::Tls,
        large: MB_50,
        ..upstream("node-spdy-tls", "https", Shared::NodeSpdyTls)
    },
    Upstream {
        large: MB_50,
        ..upstream("netty-spdy31", "spdy31", Shared::NettyPlain)
    },
];

/// gRPC's implementations on either side: client and server.
const GRPC: [(&str, &str, Shared); 6] = [
    ("tonic", "grpcio", Shared::GrpcIo),
    ("tonic", "grpc-js", Shared::GrpcJs),
    ("grpcio", "grpc-js", Shared::GrpcJs),
    ("grpcio", "tonic", Shared::GrpcTonic),
    ("grpc-js", "tonic", Shared::GrpcTonic),
    ("grpc-js", "grpcio", Shared::GrpcIo),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (client, server, shared) in GRPC {
        let name = format!("reverse-proxy/grpc/client-on-{client}-server-on-{server}");
        cases.push(Case::new(name, move |fixture| {
            let (_, proxy) = upstream(server, "h2c", shared).start(fixture)?;
            grpc::every_method(fixture, client, &format!("127.0.0.1:{}", proxy.plain))
        }));
    }
    for upstream in UPSTREAMS {
        let mut add = |what: &str, run: fn(&Fixture, &Started, Upstream) -> Outcome| {
            let name = format!("reverse-proxy/{}/{what}", upstream.name);
            cases.push(Case::new(name, move |fixture| {
                let (_behind, proxy) = upstream.start(fixture)?;
                run(fixture, &proxy, upstream)
            }));
        };
        add("curl-http1", |fixture, proxy, upstream| {
            curl_get(fixture, proxy, "--http1.1", upstream.large, "1.1 200")
        });
        add("curl-h2", |fixture, proxy, upstream| {
            curl_get(fixture, proxy, "--http2", upstream.large, "2 200")
        });
        add("node-spdy31", |fixture, proxy, _| {
            let mut client = spdy::node(fixture, "spdy/3.1", Security::Tls, proxy.tls)?;
            client.args(["get", &format!("/{MB_1}")]);
            let printed = fixture.run(&mut client, 70)?.success()?;
            expect(&printed, &fixture.answer(MB_1))
        });
        add("h2load-2000", |fixture, proxy, _| {
            let mut h2load = fixture.tool("h2load")?;
            let url = Security::Tls.url(proxy.tls, SMALL);
            h2load.args(["-n2000", "-c4", "-m20", &url]);
            loaded(fixture, &mut h2load, 2_000)
        });
        add("h2load-http1-2000", |fixture, proxy, _| {
            let mut h2load = fixture.tool("h2load")?;
            let url = Security::Plain.url(proxy.plain, SMALL);
            h2load.args(["--h1", "-n2000", "-c8", "-m1", &url]);
            loaded(fixture, &mut h2load, 2_000)
        });
        add("missing", |fixture, proxy, _| {
            let mut curl = curl(fixture, "--http2")?;
            curl.args(["-o", "/dev/null"]);
            curl.arg(Security::Tls.url(proxy.tls, "no-such-file"));
            expect(&fixture.run(&mut curl, 20)?.success()?, "2 404")
        });
        if upstream.digests {
            for protocol in ["h2", "spdy/3.1"] {
                let name = format!("upload-50-mb-{}", protocol.replace('/', ""));
                let case = format!("reverse-proxy/{}/{name}", upstream.name);
                cases.push(Case::new(case, move |fixture| {
                    let (_behind, proxy) = upstream.start(fixture)?;
                    post_digest(fixture, protocol, Security::Tls, proxy.tls, MB_50)
                }));
            }
        }
    }
    cases
}

impl Upstream {
    /// The server, if the case has it alone, and the proxy before it.
    fn start(self, fixture: &Fixture) -> Result<(Option<Server>, Started), String> {
        let (server, port) = match self.server {
            Behind::Shared(shared) => (None, fixture.port(shared, self.security)?),
            Behind::NginxHttp1(requests) => {
                let port = free_port()?;
                let mut command = nginx_http1(fixture, port, requests)?;
                let log = fixture.scratch("nginx-http1.log");
                (Some(Server::start("nginx", &mut command, port, log)?), port)
            }
        };
        let route = format!("{}://127.0.0.1:{port}", self.scheme);
        // The certificate of the run is an authority's and a server's at once; rustls takes none
        // for both.
        let options = ["--proxy", &route, "--proxy-insecure"];
        Ok((server, fixture.start_lacewingd("", &options)?))
    }
}

fn nginx_http1(fixture: &Fixture, port: u16, requests: u32) -> Result<Command, String> {
    nginx_with(
        fixture,
        &format!(
            "server {{
                listen 127.0.0.1:{port};
                keepalive_requests {requests};
                root {};
            }}",
            fixture.files().display()
        ),
    )
}

fn curl_get(
    fixture: &Fixture,
    proxy: &Started,
    version: &str,
    file: &str,
    expected: &str,
) -> Outcome {
    let out = fixture.scratch(file);
    let mut curl = curl(fixture, version)?;
    curl.arg("-o").arg(&out);
    curl.arg(Security::Tls.url(proxy.tls, file));
    expect(&fixture.run(&mut curl, 90)?.success()?, expected)?;
    same_file(fixture, &out, file)
}

fn curl(fixture: &Fixture, version: &str) -> Result<Command, String> {
    let mut command = fixture.tool("curl")?;
    command.args(["-sS", version, "-w", "%{http_version} %{http_code}"]);
    command.arg("--cacert").arg(fixture.cert());
    Ok(command)
}
