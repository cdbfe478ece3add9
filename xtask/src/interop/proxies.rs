//! Reverse proxies in front of us. nghttpx, Apache, HAProxy and Caddy speak
//! HTTP/2 with us, nginx, h2o and lighttpd HTTP/1.1. The client on the other
//! side is curl, h2load, and `lacewing`, for which they are so many more servers.

use super::fixture::{Fixture, MB_100, MEDIUM, SMALL, Security, Shared};
use super::http2::nghttp2::loaded;
use super::http2::{get, get_parallel, lacewing, same_file};
use super::{Case, Outcome, expect, expect_part};
use std::process::Command;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (proxy, shared) in [
        ("nginx", Shared::Nginx),
        ("h2o", Shared::H2o),
        ("nghttpx", Shared::Nghttpx),
        ("apache", Shared::Apache),
        ("haproxy", Shared::Haproxy),
        ("caddy", Shared::Caddy),
        ("lighttpd", Shared::Lighttpd),
    ] {
        let mut add = |what: &str, run: fn(&Fixture, u16) -> Outcome| {
            let name = format!("http2/proxy/{proxy}/{what}");
            cases.push(Case::new(name, move |fixture| {
                run(fixture, fixture.port(shared, Security::Tls)?)
            }));
        };
        add("curl-get-100-mb", curl_get);
        add("curl-upload-100-mb", curl_upload);
        add("curl-events", curl_events);
        add("h2load-10000", h2load);
        add("lacewing-get-100-mb", |fixture, port| {
            get(fixture, "h2", Security::Tls, port, MB_100)
        });
        // lighttpd 1.4.69 now and then stops to read: with several downloads over
        // TLS it sleeps on a connection that has our WINDOW_UPDATE frames.
        if proxy != "lighttpd" {
            add("lacewing-parallel-20", |fixture, port| {
                get_parallel(fixture, "h2", Security::Tls, port, MEDIUM, 20)
            });
        }
        add("lacewing-upload-100-mb", lacewing_upload);
    }
    cases
}

fn curl_get(fixture: &Fixture, port: u16) -> Outcome {
    let out = fixture.scratch(MB_100);
    let mut curl = curl(fixture)?;
    curl.arg("-o")
        .arg(&out)
        .arg(Security::Tls.url(port, MB_100));
    expect(&fixture.run(&mut curl, 60)?.success()?, "2 200")?;
    same_file(fixture, &out, MB_100)
}

fn curl_upload(fixture: &Fixture, port: u16) -> Outcome {
    let mut curl = curl(fixture)?;
    curl.arg("-T").arg(fixture.file(MB_100));
    curl.arg(Security::Tls.url(port, "digest"));
    let expected = format!("{} {}2 200", fixture.length(MB_100), fixture.digest(MB_100));
    expect(&fixture.run(&mut curl, 60)?.success()?, &expected)
}

fn curl_events(fixture: &Fixture, port: u16) -> Outcome {
    let mut curl = curl(fixture)?;
    curl.arg("-N").arg(Security::Tls.url(port, "events"));
    let printed = fixture.run(&mut curl, 20)?.success()?;
    expect_part(&printed, "id: 999\ndata: event 999\n\n2 200")
}

fn h2load(fixture: &Fixture, port: u16) -> Outcome {
    let mut h2load = fixture.tool("h2load")?;
    h2load.args(["-n10000", "-c10", "-m50", &Security::Tls.url(port, SMALL)]);
    loaded(fixture, &mut h2load, 10_000)
}

fn lacewing_upload(fixture: &Fixture, port: u16) -> Outcome {
    let mut command = lacewing(fixture, "h2");
    command.args(["-X", "POST", "-T"]).arg(fixture.file(MB_100));
    command.arg(Security::Tls.url(port, "digest"));
    let expected = format!("{} {}", fixture.length(MB_100), fixture.digest(MB_100));
    expect(&fixture.run(&mut command, 60)?.success()?, &expected)
}

fn curl(fixture: &Fixture) -> Result<Command, String> {
    let mut command = fixture.tool("curl")?;
    command.args(["-sS", "--http2", "-w", "%{http_version} %{http_code}"]);
    command.arg("--cacert").arg(fixture.cert());
    Ok(command)
}

// --- how each is started ---

/// HTTP/1.1 towards us, over connections that it keeps.
pub(super) fn nginx(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let (cert, key) = (fixture.cert(), fixture.key());
    nginx_with(
        fixture,
        &format!(
            "upstream site {{ server 127.0.0.1:{site}; keepalive 16; }}
            server {{
                listen 127.0.0.1:{port} ssl http2;
                ssl_certificate {};
                ssl_certificate_key {};
                client_max_body_size 0;
                # The default is 1,000 requests, then GOAWAY, over which h2load trips.
                keepalive_requests 1000000;
                location / {{
                    proxy_pass http://site;
                    proxy_http_version 1.1;
                    proxy_set_header Connection '';
                    proxy_buffering off;
                    proxy_request_buffering off;
                }}
            }}",
            cert.display(),
            key.display()
        ),
    )
}

/// HTTP/2 towards us: nginx 1.22 speaks it for gRPC alone.
pub(super) fn nginx_grpc(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let grpc = fixture.port(Shared::GrpcLacewing, Security::Plain)?;
    nginx_with(
        fixture,
        &format!(
            "upstream echo {{ server 127.0.0.1:{grpc}; keepalive 16; }}
            server {{
                listen 127.0.0.1:{port} http2;
                client_max_body_size 0;
                http2_max_concurrent_streams 1000;
                location / {{ grpc_pass grpc://echo; }}
            }}"
        ),
    )
}

pub(super) fn nginx_with(fixture: &Fixture, servers: &str) -> Result<Command, String> {
    let folder = fixture.scratch("nginx");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {what};\n"))
        .collect();
    // One process, so that ending it ends all of it.
    let config = format!(
        "daemon off; master_process off; pid pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{ access_log off; {temporary} {servers} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("nginx")?;
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    Ok(command)
}

/// HTTP/1.1 towards us.
pub(super) fn h2o(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let config = format!(
        "num-threads: 2
listen:
  host: 127.0.0.1
  port: {port}
  ssl:
    certificate-file: {}
    key-file: {}
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{site}/
",
        fixture.cert().display(),
        fixture.key().display()
    );
    let file = fixture.scratch("h2o.conf");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("h2o")?;
    command.arg("-c").arg(&file);
    Ok(command)
}

/// HTTP/2 towards us, in cleartext.
pub(super) fn apache(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let folder = fixture.scratch("apache");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let modules: String = [
        "mpm_event",
        "authz_core",
        "socache_shmcb",
        "ssl",
        "http2",
        "proxy",
        "proxy_http2",
    ]
    .iter()
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .collect();
    let config = format!(
        "{modules}
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ServerName localhost
ErrorLog /dev/stderr
User www-data
Group www-data
Listen 127.0.0.1:{port}
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile {}
SSLCertificateKeyFile {}
ProxyPass / h2c://127.0.0.1:{site}/ flushpackets=on
",
        fixture.cert().display(),
        fixture.key().display(),
        folder = folder.display(),
    );
    let file = folder.join("apache.conf");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("apache2")?;
    // One process, so that ending it ends all of it.
    command.arg("-X").arg("-f").arg(&file);
    Ok(command)
}

/// HTTP/2 towards us, in cleartext.
pub(super) fn haproxy(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let both = fixture.cert_and_key()?;
    let config = format!(
        "global
  log stderr local0
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen site
  bind 127.0.0.1:{port} ssl crt {} alpn h2,http/1.1
  server site 127.0.0.1:{site} proto h2
",
        both.display()
    );
    let file = fixture.scratch("haproxy.cfg");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("haproxy")?;
    command.arg("-db").arg("-f").arg(&file);
    Ok(command)
}

/// HTTP/2 towards us, in cleartext.
pub(super) fn caddy(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let folder = fixture.scratch("caddy");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let config = format!(
        "{{
    admin off
    auto_https off
}}
https://127.0.0.1:{port} {{
    bind 127.0.0.1
    tls {} {}
    reverse_proxy h2c://127.0.0.1:{site} {{
        flush_interval -1
    }}
}}
",
        fixture.cert().display(),
        fixture.key().display()
    );
    let file = folder.join("Caddyfile");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("caddy")?;
    command.args(["run", "--adapter", "caddyfile", "--config"]);
    command.arg(&file).env("HOME", &folder);
    Ok(command)
}

/// HTTP/1.1 towards us.
pub(super) fn lighttpd(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let config = format!(
        "server.modules = (\"mod_openssl\", \"mod_proxy\")
server.document-root = \"{}\"
server.bind = \"127.0.0.1\"
server.port = {port}
# As it comes, not when it is complete.
server.stream-request-body = 2
server.stream-response-body = 2
ssl.engine = \"enable\"
ssl.pemfile = \"{}\"
ssl.privkey = \"{}\"
proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => {site})))
",
        fixture.folder().display(),
        fixture.cert().display(),
        fixture.key().display()
    );
    let file = fixture.scratch("lighttpd.conf");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut command = fixture.tool("lighttpd")?;
    command.arg("-D").arg("-f").arg(&file);
    Ok(command)
}

/// HTTP/2 towards us, and TLS in front.
pub(super) fn nghttpx(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let mut command = nghttpx_to(fixture, site)?;
    command.arg(format!("--frontend=127.0.0.1,{port}"));
    command.arg(fixture.key()).arg(fixture.cert());
    Ok(command)
}

/// HTTP/2 on both sides, in cleartext.
pub(super) fn nghttpx_plain(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let site = fixture.port(Shared::Site, Security::Plain)?;
    let mut command = nghttpx_to(fixture, site)?;
    command.arg(format!("--frontend=127.0.0.1,{port};no-tls"));
    Ok(command)
}

/// HTTP/2 on both sides, in cleartext.
pub(super) fn nghttpx_grpc(fixture: &Fixture, port: &str) -> Result<Command, String> {
    let grpc = fixture.port(Shared::GrpcLacewing, Security::Plain)?;
    let mut command = nghttpx_to(fixture, grpc)?;
    command.arg(format!("--frontend=127.0.0.1,{port};no-tls"));
    Ok(command)
}

fn nghttpx_to(fixture: &Fixture, port: u16) -> Result<Command, String> {
    let mut command = fixture.tool("nghttpx")?;
    command.args(["--conf=/dev/null", "--no-ocsp", "--single-process"]);
    command.arg(format!("--backend=127.0.0.1,{port};;proto=h2"));
    Ok(command)
}
