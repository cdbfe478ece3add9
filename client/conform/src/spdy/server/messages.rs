//! Requests and responses (section 3.2).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = requests(dialect);
    rows.extend(lengths(dialect));
    rows.extend(forbidden(dialect));
    rows.push(
        must(
            "3.2.2",
            "a response has no connection-specific header field",
            [send(syn_stream(1, &dialect.get()).fin()), response(1)],
        )
        .habits("3.2"),
    );
    rows
}

fn without(dialect: &Dialect, name: &str) -> [Step; 3] {
    let name = dialect.name(name);
    let block = dialect.get().without(&name);
    [send(syn_stream(1, &block).fin()), bad_request(1), alive()]
}

fn requests(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let lacking = |name: &str| {
        let title = format!(
            "a request without {} is answered with 400",
            dialect.name(name)
        );
        must("3.2.1", title, without(dialect, name))
    };
    vec![
        must(
            "3.2.1",
            "a request is answered",
            [send(syn_stream(1, &get).fin()), success(1), alive()],
        ),
        lacking("method"),
        lacking("path"),
        lacking("version"),
        lacking("host").since_3(),
        lacking("scheme").since_3(),
        should(
            "3.2.1",
            "a request without scheme is answered with 400",
            without(dialect, "scheme"),
        )
        .in_2(),
        must(
            "3.2.1",
            "a request with no pairs at all is answered with 400",
            [
                send(syn_stream(1, &Block::new([])).fin()),
                bad_request(1),
                alive(),
            ],
        ),
        must(
            "3.2.1",
            "after a request that was answered with 400 the next one is served",
            [
                send(syn_stream(1, &get.clone().without(&dialect.name("method"))).fin()),
                bad_request(1),
                send(syn_stream(3, &get).fin()),
                success(3),
            ],
        ),
        should(
            "3.2.1",
            "a path that does not begin with a slash is refused",
            [
                send(syn_stream(1, &dialect.request("GET", "index.html")).fin()),
                refused(1),
            ],
        ),
        should(
            "3.2.1",
            "an empty method is refused",
            [
                send(syn_stream(1, &get.clone().set(&dialect.name("method"), "")).fin()),
                refused(1),
            ],
        ),
        should(
            "3.2.1",
            "a request may have a full URL, as to a proxy",
            [
                send(
                    syn_stream(
                        1,
                        &dialect.request(
                            "GET",
                            &format!("http://{}{}", dialect.target.authority, dialect.target.path),
                        ),
                    )
                    .fin(),
                ),
                success(1),
            ],
        )
        .in_2(),
        must(
            "3.2.2",
            "a response to HEAD has no content",
            [
                send(syn_stream(1, &dialect.request("HEAD", &dialect.target.path)).fin()),
                response(1),
                at_most(1, 0),
            ],
        ),
        must(
            "3.2.2",
            "a request with a body is answered",
            [
                send_all([
                    syn_stream(1, &dialect.post().and("content-length", "4")),
                    data(1, b"body").fin(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn lengths(dialect: &Dialect) -> Vec<Row> {
    let upload = |length: &str| {
        send_all([
            syn_stream(1, &dialect.post().and("content-length", length)),
            data(1, b"body").fin(),
        ])
    };
    vec![
        must(
            "3.2.1",
            "a body shorter than content-length is answered with 400",
            [upload("7"), bad_request(1), alive()],
        )
        .since_3()
        // A server without uploads may reject the request before it sees the error.
        .needs(Need::Upload),
        must(
            "3.2.1",
            "a body longer than content-length is answered with 400",
            [upload("3"), bad_request(1), alive()],
        )
        .since_3()
        // A server without uploads may reject the request before it sees the error.
        .needs(Need::Upload),
        must(
            "3.2.1",
            "content-length without a body is answered with 400",
            [
                send(syn_stream(1, &dialect.post().and("content-length", "7")).fin()),
                bad_request(1),
            ],
        )
        .since_3()
        .needs(Need::Upload),
        should(
            "3.2.1",
            "content-length that is no number is refused",
            [upload("four"), refused(1)],
        ),
    ]
}

fn forbidden(dialect: &Dialect) -> Vec<Row> {
    let names = [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
    ];
    let mut rows = Vec::new();
    for (name, value) in names {
        let ask = || send(syn_stream(1, &dialect.get().and(name, value)).fin());
        let row = match name {
            "connection" | "keep-alive" => must,
            // The specification of SPDY/2 does not name them.
            _ => should,
        };
        let title = format!("{name}, which is not valid, is ignored");
        rows.push(row("3.2.1", title, [ask(), response(1), alive()]).in_2());
        rows.push(
            should(
                "3.2.1",
                format!("{name}, which is not valid, is ignored or refused"),
                [
                    ask(),
                    any([
                        Expect::Response(1.into(), 200..=599),
                        Expect::StreamError(1.into(), vec![PROTOCOL_ERROR]),
                    ]),
                    alive(),
                ],
            )
            .since_3(),
        );
    }
    rows
}
