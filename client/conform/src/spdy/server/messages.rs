//! Requests and responses (section 3.2).

use crate::conform::spdy::vocabulary::*;

pub(super) fn rows(book: &Book) -> Vec<Row> {
    let mut rows = requests(book);
    rows.extend(lengths(book));
    rows.extend(forbidden(book));
    rows.push(
        must(
            "3.2.2",
            "a response has no connection, keep-alive, proxy-connection or transfer-encoding",
            [send(syn_stream(1, &book.get()).fin()), response(1)],
        )
        .habits("3.2"),
    );
    rows
}

fn without(book: &Book, name: &str) -> [Step; 3] {
    let name = book.name(name);
    let block = book.get().without(&name);
    [send(syn_stream(1, &block).fin()), bad_request(1), alive()]
}

fn requests(book: &Book) -> Vec<Row> {
    let get = book.get();
    let lacking = |name: &str| {
        let title = format!("a request without {} is answered with 400", book.name(name));
        must("3.2.1", title, without(book, name))
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
            without(book, "scheme"),
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
                send(syn_stream(1, &get.clone().without(&book.name("method"))).fin()),
                bad_request(1),
                send(syn_stream(3, &get).fin()),
                success(3),
            ],
        ),
        should(
            "3.2.1",
            "a path that does not begin with a slash is refused",
            [
                send(syn_stream(1, &book.request("GET", "index.html")).fin()),
                refused(1),
            ],
        ),
        should(
            "3.2.1",
            "an empty method is refused",
            [
                send(syn_stream(1, &get.clone().set(&book.name("method"), "")).fin()),
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
                        &book.request(
                            "GET",
                            &format!("http://{}{}", book.target.authority, book.target.path),
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
                send(syn_stream(1, &book.request("HEAD", &book.target.path)).fin()),
                response(1),
                at_most(1, 0),
            ],
        ),
        must(
            "3.2.2",
            "a response to a request with a body comes",
            [
                send_all([
                    syn_stream(1, &book.post().and("content-length", "4")),
                    data(1, b"body").fin(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn lengths(book: &Book) -> Vec<Row> {
    let upload = |length: &str| {
        send_all([
            syn_stream(1, &book.post().and("content-length", length)),
            data(1, b"body").fin(),
        ])
    };
    vec![
        must(
            "3.2.1",
            "a body shorter than content-length is answered with 400",
            [upload("7"), bad_request(1), alive()],
        )
        .since_3(),
        must(
            "3.2.1",
            "a body longer than content-length is answered with 400",
            [upload("3"), bad_request(1), alive()],
        )
        .since_3(),
        must(
            "3.2.1",
            "content-length without a body is answered with 400",
            [
                send(syn_stream(1, &book.post().and("content-length", "7")).fin()),
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
        must(
            "3.2.1",
            "a body without content-length is taken",
            [
                send_all([syn_stream(1, &book.post()), data(1, b"body").fin()]),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn forbidden(book: &Book) -> Vec<Row> {
    let names = [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
    ];
    let mut rows = Vec::new();
    for (name, value) in names {
        let ask = || send(syn_stream(1, &book.get().and(name, value)).fin());
        let row = match name {
            "connection" | "keep-alive" => must,
            // The page does not name them.
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
