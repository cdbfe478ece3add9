//! Content codings: files beside others, and compression on the way.

use std::{
    fs,
    io::Read,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    exchange::{ALL, Answer, Fields, Protocol, Session, ask, get, head},
    program::{Directory, Running},
};

/// The content behind its coding.
fn decoded(answer: &Answer) -> Vec<u8> {
    let dechunked;
    let body = match answer.field("transfer-encoding") {
        Some(_) => {
            dechunked = without_chunks(&answer.body);
            &dechunked
        }
        None => &answer.body,
    };
    let (mut plain, body) = (Vec::new(), &body[..]);
    match answer.field("content-encoding") {
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        Some("zstd") => zstd::Decoder::new(body).unwrap().read_to_end(&mut plain),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        other => panic!("{other:?}"),
    }
    .unwrap();
    plain
}

/// The content of chunks (RFC 9112 §7.1).
fn without_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        rest = &rest[end + 2..];
        content.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
        if length == 0 {
            return content;
        }
    }
}

const BROWSER: Fields<'_> = &[("accept-encoding", "gzip, deflate, br, zstd")];

/// A small and a large file, and others that are not worth it.
fn texts(name: &str) -> (Directory, Vec<u8>, Vec<u8>) {
    let directory = Directory::new(name);
    let small = "body { color: red }\n".repeat(200).into_bytes();
    let lines = (0..100_000).map(|number| format!("line {number}\n"));
    let large = lines.collect::<String>().into_bytes();
    fs::write(directory.path("small.css"), &small).unwrap();
    fs::write(directory.path("large.txt"), &large).unwrap();
    fs::write(directory.path("picture.png"), &small).unwrap();
    (directory, small, large)
}

#[test]
fn text_is_compressed_on_its_way() {
    let (directory, small, large) = texts("lacewingd-compress");
    let running = Running::start(&directory, &["--https", "off", "--compress"]);
    for protocol in ALL {
        for (path, plain) in [("/small.css", &small), ("/large.txt", &large)] {
            for coding in ["gzip", "br", "zstd"] {
                // Twice: from the disk, and from memory.
                for _ in 0..2 {
                    let answer = get(&running, protocol, path, &[("accept-encoding", coding)]);
                    assert_eq!(answer.status, 200, "{protocol:?} {path} {coding}");
                    assert_eq!(answer.field("content-encoding"), Some(coding));
                    assert_eq!(answer.field("vary"), Some("accept-encoding"));
                    assert_eq!(answer.field("accept-ranges"), None);
                    assert_eq!(answer.field("content-length"), None);
                    assert!(answer.over && answer.body.len() < plain.len() / 2);
                    assert!(decoded(&answer) == *plain, "{protocol:?} {path} {coding}");
                }
            }
        }
        // What is not worth it, or is not accepted.
        for (path, fields) in [
            ("/hello.txt", BROWSER),
            ("/picture.png", BROWSER),
            ("/large.txt", &[]),
            ("/large.txt", &[("accept-encoding", "gzip;q=0, *;q=0")]),
            ("/large.txt", &[("accept-encoding", "identity, gzip;q=0.5")]),
        ] {
            let answer = get(&running, protocol, path, fields);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.field("content-encoding"), None, "{path} {fields:?}");
            assert!(answer.field("etag").unwrap().starts_with('"'));
            let varies = path != "/picture.png";
            assert_eq!(answer.field("vary").is_some(), varies, "{path}");
        }
    }
    // Directory pages have two reasons to vary.
    for number in 0..50 {
        fs::write(directory.path(&format!("file-{number}")), "").unwrap();
    }
    let page = get(&running, Protocol::Http2, "/", BROWSER);
    assert_eq!(page.field("content-encoding"), Some("zstd"));
    assert!(
        String::from_utf8(decoded(&page))
            .unwrap()
            .contains("file-49")
    );
}

/// Ranges and conditions are those of the file; a compressed response has a weak validator.
#[test]
fn ranges_and_conditions_go_with_compression() {
    let (directory, _, large) = texts("lacewingd-compress-ranges");
    let running = Running::start(&directory, &["--https", "off", "--compress"]);
    let with = |fields: Fields<'_>| {
        let all = [BROWSER, fields].concat();
        get(&running, Protocol::Http2, "/large.txt", &all)
    };
    let part = with(&[("range", "bytes=10-19")]);
    assert_eq!((part.status, &part.body[..]), (206, &large[10..20]));
    assert_eq!(part.field("content-encoding"), None);
    assert_eq!(part.field("vary"), Some("accept-encoding"));
    let strong = part.field("etag").unwrap();
    let whole = with(&[]);
    let weak = whole.field("etag").unwrap();
    assert_eq!(weak, format!("W/{strong}"));
    for tag in [weak, strong] {
        let same = with(&[("if-none-match", tag)]);
        assert_eq!((same.status, same.body.len()), (304, 0), "{tag}");
        assert_eq!(same.field("vary"), Some("accept-encoding"));
        assert_eq!(same.field("content-encoding"), None);
    }
    // A weak validator fits no part.
    let whole = with(&[("range", "bytes=10-19"), ("if-range", weak)]);
    assert_eq!(whole.status, 200);
    assert!(decoded(&whole) == large);
    let head = ask(&running, Protocol::Http2, "HEAD", "/large.txt", BROWSER);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-encoding"), Some("zstd"));
    assert_eq!(head.field("content-length"), None);
    // The operator's word counts.
    let args = [
        "--https",
        "off",
        "--compress",
        "--cache-control",
        "no-transform",
    ];
    let running = Running::start(&directory, &args);
    let answer = get(&running, Protocol::Http2, "/large.txt", BROWSER);
    assert_eq!(answer.field("content-encoding"), None);
}

#[test]
fn files_beside_others_are_served_in_their_place() {
    let (directory, small, _) = texts("lacewingd-precompressed");
    let coded = |ending: &str, bytes: &[u8]| {
        fs::write(directory.path(&format!("small.css{ending}")), bytes).unwrap();
    };
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &small).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(&small[..], 19).unwrap();
    coded(".gz", &gzip);
    coded(".zst", &zstd);
    let args = ["--https", "off", "--precompressed", "--compress"];
    let running = Running::start(&directory, &args);
    for protocol in ALL {
        for _ in 0..2 {
            for (accept, coding, bytes) in [("gzip", "gzip", &gzip), ("zstd, gzip", "zstd", &zstd)]
            {
                let fields = [("accept-encoding", accept)];
                let answer = get(&running, protocol, "/small.css", &fields);
                assert_eq!(
                    answer.field("content-encoding"),
                    Some(coding),
                    "{protocol:?}"
                );
                assert_eq!(
                    answer.field("content-type"),
                    Some("text/css; charset=utf-8")
                );
                assert_eq!(answer.field("vary"), Some("accept-encoding"));
                let length = bytes.len().to_string();
                assert_eq!(answer.field("content-length"), Some(&*length));
                assert!(answer.body == *bytes && decoded(&answer) == small);
                // It is a representation of its own, with parts of its own.
                let etag = answer.field("etag").unwrap();
                assert!(
                    etag.starts_with('"') && etag.ends_with(&format!("-{coding}\"")),
                    "{etag}"
                );
                let fields = [fields[0], ("range", "bytes=1-3"), ("if-range", etag)];
                let part = get(&running, protocol, "/small.css", &fields);
                assert_eq!((part.status, &part.body[..]), (206, &bytes[1..4]));
                assert_eq!(part.field("content-encoding"), Some(coding));
                let same = [fields[0], ("if-none-match", etag)];
                assert_eq!(get(&running, protocol, "/small.css", &same).status, 304);
            }
        }
        // No file: on its way. No coding: the file itself.
        let fields = [("accept-encoding", "br")];
        let answer = get(&running, protocol, "/small.css", &fields);
        assert_eq!(answer.field("content-encoding"), Some("br"));
        assert!(answer.field("content-length").is_none() && decoded(&answer) == small);
        let answer = get(&running, protocol, "/small.css", &[]);
        assert!(answer.body == small && answer.field("content-encoding").is_none());
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
        // By its own name it is a file as others.
        let answer = get(&running, protocol, "/small.css.gz", BROWSER);
        assert!(answer.body == gzip && answer.field("content-encoding").is_none());
    }
    // One that is older than its file is out of date.
    let old = SystemTime::now() - Duration::from_secs(3600);
    let file = fs::File::options()
        .append(true)
        .open(directory.path("small.css.gz"));
    file.unwrap().set_modified(old).unwrap();
    let fields = [("accept-encoding", "gzip")];
    let answer = get(&running, Protocol::Http2, "/small.css", &fields);
    assert!(answer.field("content-length").is_none() && decoded(&answer) == small);
    // Only the codings of the option.
    let args = ["--https", "off", "--precompressed=br"];
    let running = Running::start(&directory, &args);
    let answer = get(&running, Protocol::Http2, "/small.css", BROWSER);
    assert!(answer.body == small);
}

/// Clients that read slowly hold encoders; beyond the bound, others have the file as it is.
#[test]
fn encoders_are_bounded() {
    let directory = Directory::new("lacewingd-encoders");
    // It stays larger than a window when it is compressed.
    let mut random = 7_u64;
    let noise = (0..30_000).map(|_| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{random:016x}")
    });
    fs::write(directory.path("noise.txt"), noise.collect::<String>()).unwrap();
    let running = Running::start(&directory, &["--https", "off", "--compress"]);
    // Who gets no window reads nothing.
    let mut held = Session::new(running.connect(), Protocol::Http2, None);
    let asks = [
        &head(Protocol::Http2, "localhost", "GET", "/noise.txt")[..],
        BROWSER,
    ]
    .concat();
    for number in 0..64 {
        held.open(2 * number + 1, &asks);
    }
    let ask = || {
        let answer = ask(&running, Protocol::Http1, "HEAD", "/noise.txt", BROWSER);
        answer.field("content-encoding").is_some()
    };
    let deadline = Instant::now() + Duration::from_secs(40);
    let becomes = |compressed: bool| {
        while ask() != compressed {
            assert!(Instant::now() < deadline, "it stays {}", !compressed);
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    becomes(false);
    drop(held);
    becomes(true);
}
