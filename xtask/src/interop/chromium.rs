//! A real browser: Chromium against `lacewingd` and `site`, over TLS.

use super::fixture::{Fixture, MB_1, MB_100, Security, Shared};
use super::process::{Server, free_port};
use super::{Case, Outcome, expect, expect_part};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

/// A page without anything, for scripts.
const EMPTY: &str = "empty.html";

/// Resources of the page, without itself.
const RESOURCES: usize = 200;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("http2/chromium/page-of-200-resources", page),
        Case::new("http2/chromium/download-100-mb", |fixture| {
            let path = format!("/{MB_100}");
            let printed = browse(fixture, Shared::Lacewingd, EMPTY, &["download", &path])?;
            let (length, digest) = (fixture.length(MB_100), fixture.digest(MB_100));
            expect(&printed, &format!("{length} {digest}"))
        }),
        Case::new("http2/chromium/upload-20-mb", |fixture| {
            let upload = ["upload", "/digest", "20000000"];
            let printed = browse(fixture, Shared::Site, EMPTY, &upload)?;
            expect(&printed, "both arrived")
        }),
        Case::new("http2/chromium/events", |fixture| {
            let events = ["events", "/events", "1000"];
            let printed = browse(fixture, Shared::Site, EMPTY, &events)?;
            expect(&printed, "1000 events")
        }),
        Case::new("http2/chromium/download-through-connect", through_proxy),
        Case::new("http2/chromium/live-page", live_page),
        Case::new("http2/chromium/live-page-of-tap", live_page_of_tap),
        Case::new("http2/chromium/live-page-of-load", live_page_of_load),
        Case::new("http2/chromium/directory", directory),
        // Nothing but extended CONNECT opens a WebSocket there.
        Case::new("http2/chromium/websocket", |fixture| {
            websocket(fixture, "/chat")
        }),
        Case::new("http2/chromium/axum-websocket", |fixture| {
            websocket(fixture, "/axum-websocket")
        }),
    ]
}

/// The page of a directory with a long name, for a desk and for a phone.
fn directory(fixture: &Fixture) -> Outcome {
    let folder = fixture.files().join("wide");
    let name = format!("{}.txt", "a".repeat(196));
    std::fs::create_dir_all(folder.join("directory")).map_err(|e| e.to_string())?;
    for file in [&name, "short.txt"] {
        std::fs::write(folder.join(file), "content").map_err(|e| e.to_string())?;
    }
    let started = fixture.start_lacewingd("", &[])?;
    let url = format!("http://127.0.0.1:{}/wide/", started.plain);
    let printed = browse_url(fixture, None, &url, &["directory", &name])?;
    for (width, place) in [(1280, "beside"), (360, "below")] {
        let expected = format!(
            "{width}: name wraps, size and time {place}, both inside, 3 orders, list at the top, fits"
        );
        expect_part(&printed, &expected)?;
    }
    Ok("1280 and 360 pixels".to_owned())
}

/// The live page of `lacewingd`, while a client does not read.
fn live_page(fixture: &Fixture) -> Outcome {
    let page = free_port()?;
    let started = fixture.start_lacewingd("", &["--status", &format!("127.0.0.1:{page}")])?;
    let _stalled = stall(started.plain)?;
    look(fixture, page, "stream_window", &stalled_stream)
}

/// The live page of `lacewing tap`, while a client behind it does not read.
fn live_page_of_tap(fixture: &Fixture) -> Outcome {
    let (page, tap) = (free_port()?, free_port()?);
    let started = fixture.start_lacewingd("", &[])?;
    let mut command = fixture.ours("lacewing");
    command
        .args(["tap", "--quiet", &format!("127.0.0.1:{tap}")])
        .arg(format!("http://127.0.0.1:{}", started.plain))
        .args(["--status", &format!("127.0.0.1:{page}")]);
    let log = fixture.scratch("tap.log");
    let _tap = Server::start("lacewing tap", &mut command, page, log)?;
    let _stalled = stall(tap)?;
    look(fixture, page, "stream_window", &stalled_stream)
}

/// The live page of `lacewing load`, which wants more streams than the server permits.
fn live_page_of_load(fixture: &Fixture) -> Outcome {
    let page = free_port()?;
    let started = fixture.start_lacewingd("", &[])?;
    let mut command = fixture.ours("lacewing");
    command
        .args(["load", "--duration", "100s", "--streams", "500"])
        .arg(format!("http://127.0.0.1:{}/{MB_1}", started.plain))
        .args(["--status", &format!("127.0.0.1:{page}")]);
    let log = fixture.scratch("load.log");
    let _load = Server::start("lacewing load", &mut command, page, log)?;
    let connection = format!("#1 to 127.0.0.1:{}", started.plain);
    look(fixture, page, "max_streams", &|width| {
        vec![format!(
            "{width}: live, max-streams at {connection}, 0 bars stall, 7 figures, key p: true paused, \
             key /: filter, fits"
        )]
    })
}

/// What a page of this width shows while one stream has no window.
fn stalled_stream(width: u16) -> Vec<String> {
    let shown = format!(
        "{width}: live, stream window at GET /{MB_100}, 1 bars stall, 0 figures, key p: true paused, \
         key /: filter, fits"
    );
    // The first page came after the request.
    let earlier = shown.replace(&format!("GET /{MB_100}"), "stream 1, from before");
    vec![shown, earlier]
}

/// Looks at a live page, wide and in the colours of the day, then narrow and dark. Each must show
/// one of the texts that `expected` has for its width.
fn look(
    fixture: &Fixture,
    page: u16,
    cause: &str,
    expected: &dyn Fn(u16) -> Vec<String>,
) -> Outcome {
    let url = format!("http://127.0.0.1:{page}/");
    let printed = browse_url(fixture, None, &url, &["live", cause])?;
    for width in [1280, 360] {
        let texts = expected(width);
        if !texts.iter().any(|text| printed.contains(text)) {
            return Err(format!("{texts:?}: not in\n{printed}"));
        }
    }
    Ok("1280 and 360 pixels".to_owned())
}

/// A client that does not read, of a server of HTTP/2 on this port.
fn stall(port: u16) -> Result<TcpStream, String> {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let mut client = connected.map_err(|error| error.to_string())?;
    let written = client.write_all(&stalling_client());
    written.map_err(|error| error.to_string())?;
    Ok(client)
}

/// The bytes of a client of HTTP/2 that asks for a large file with a window of 1,000 bytes, and
/// grants no more.
fn stalling_client() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    bytes.extend(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\x03\xe8");
    let path = format!("/{MB_100}");
    // GET, http, and :path and :authority as literals.
    let mut block = b"\x82\x86\x04".to_vec();
    block.push(u8::try_from(path.len()).unwrap_or(0));
    block.extend(path.as_bytes());
    block.extend(b"\x41\x09localhost");
    bytes.extend([
        0,
        0,
        u8::try_from(block.len()).unwrap_or(0),
        1,
        5,
        0,
        0,
        0,
        1,
    ]);
    bytes.extend(block);
    bytes
}

fn websocket(fixture: &Fixture, path: &str) -> Outcome {
    let printed = browse(fixture, Shared::Site, EMPTY, &["websocket", path, "100"])?;
    expect(&printed, "100 echoes, closed 1000 true")
}

/// TLS and HTTP/2 to `lacewingd`, through a tunnel of HTTP/2 by `site`.
fn through_proxy(fixture: &Fixture) -> Outcome {
    let proxy = fixture.port(Shared::Site, Security::Tls)?;
    let command = ["download", &format!("/{MB_100}")];
    let printed = browse_by(fixture, Some(proxy), Shared::Lacewingd, EMPTY, &command)?;
    let (length, digest) = (fixture.length(MB_100), fixture.digest(MB_100));
    expect(&printed, &format!("{length} {digest}"))?;
    let port = fixture.port(Shared::Lacewingd, Security::Tls)?;
    expect_part(
        &fixture.log(Shared::Site),
        &format!("CONNECT localhost:{port}"),
    )
}

/// The output of Chromium after it has opened `path` and run the command.
fn browse(
    fixture: &Fixture,
    server: Shared,
    path: &str,
    command: &[&str],
) -> Result<String, String> {
    browse_by(fixture, None, server, path, command)
}

fn browse_by(
    fixture: &Fixture,
    proxy: Option<u16>,
    server: Shared,
    path: &str,
    command: &[&str],
) -> Result<String, String> {
    let port = fixture.port(server, Security::Tls)?;
    std::fs::write(fixture.file(EMPTY), "<!doctype html>").map_err(|e| e.to_string())?;
    let url = format!("https://localhost:{port}/{path}");
    browse_url(fixture, proxy, &url, command)
}

fn browse_url(
    fixture: &Fixture,
    proxy: Option<u16>,
    url: &str,
    command: &[&str],
) -> Result<String, String> {
    let driver_port = free_port()?;
    fixture.tool("chromium")?;
    let mut driver = fixture.tool("chromedriver")?;
    driver.arg(format!("--port={driver_port}"));
    let log = fixture.scratch("chromedriver.log");
    let driver = Server::start("chromedriver", &mut driver, driver_port, log)?;
    let mut node = fixture.node("browse.js")?;
    if let Some(proxy) = proxy {
        node.env("CHROMIUM_PROXY", format!("https://localhost:{proxy}"));
    }
    node.arg(driver_port.to_string()).arg(fixture.cert());
    node.arg(url)
        .env("SCREENSHOTS", fixture.scratch("screenshots"));
    let printed = fixture.run(node.args(command), 100)?.success();
    printed.map_err(|error| format!("{error}\n{}", driver.log_tail()))
}

fn page(fixture: &Fixture) -> Outcome {
    write_page(&fixture.files().join("page")).map_err(|e| e.to_string())?;
    let command = ["page", &RESOURCES.to_string()];
    let printed = browse(fixture, Shared::Lacewingd, "page/index.html", &command)?;
    expect_part(&printed, &format!("{RESOURCES} resources over h2, "))?;
    expect_part(&printed, "50 scripts ran")?;
    // The connections that it took: a second one for what is fetched without
    // credentials (fonts).
    let log = fixture.log(Shared::Lacewingd);
    let mut clients: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("/page/"))
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.contains("127.0.0.1:"))
        })
        .collect();
    clients.sort_unstable();
    clients.dedup();
    match clients.len() {
        1..=3 => Ok(format!("{} connections, {}", clients.len(), printed.trim())),
        count => Err(format!("{count} connections for one page")),
    }
}

/// A kind of files: their number, their extension, the element of `index.html` that loads file
/// N, and the contents of file N.
type Kind = (
    usize,
    &'static str,
    fn(usize) -> String,
    fn(usize) -> Vec<u8>,
);

const KINDS: [Kind; 7] = [
    (
        30,
        "css",
        |n| format!("<link rel=stylesheet href={n}.css>"),
        // Each asks for a font of its own in time.
        |n| {
            format!(
                "@font-face{{font-family:f{n};src:url({n}.woff2)}}.c{n}{{font-family:f{n}}}/*{}*/",
                "x".repeat(n * 97)
            )
            .into_bytes()
        },
    ),
    (
        50,
        "js",
        |n| format!("<script src={n}.js></script>"),
        |n| format!("window.ran=(window.ran||0)+1;/*{}*/", "x".repeat(n * 307)).into_bytes(),
    ),
    (
        40,
        "png",
        |n| format!("<img src={n}.png>"),
        |n| [PIXEL, &vec![0; n * 1009]].concat(),
    ),
    (
        30,
        "svg",
        |n| format!("<img src={n}.svg>"),
        |n| {
            format!("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><!--{}--><circle r='{n}'/></svg>", "x".repeat(n * 53)).into_bytes()
        },
    ),
    (
        20,
        "json",
        |n| format!("<script>fetch('{n}.json').then(r=>r.json())</script>"),
        |n| format!("{{\"number\":{n},\"text\":\"{}\"}}", "x".repeat(n * 211)).into_bytes(),
    ),
    (
        10,
        "html",
        |n| format!("<iframe src={n}.html></iframe>"),
        |n| format!("<!doctype html><p>number {n}").into_bytes(),
    ),
    // No font, which the browser finds out when it is there.
    (
        20,
        "woff2",
        |n| format!("<p class=c{n}>text</p>"),
        |n| vec![b'w'; 1000 + n * 401],
    ),
];

/// A PNG of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";

fn write_page(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut page = String::from("<!doctype html><title>page</title><link rel=icon href=data:,>\n");
    for (count, extension, ask, content) in KINDS {
        for number in 0..count {
            let _ = writeln!(page, "{}", ask(number));
            std::fs::write(
                folder.join(format!("{number}.{extension}")),
                content(number),
            )?;
        }
    }
    std::fs::write(folder.join("index.html"), page)
}
