//! hyper as a client.

use super::echo_port;
use crate::interop::fixture::{Fixture, MB_1, MB_100, MEDIUM, SMALL, Security, Shared};
use crate::interop::{Case, expect};

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/hyper/{what}-{}", security.name());
    let run = move |fixture: &Fixture, port: u16, args: &[&str]| {
        let mut client = fixture.rust("hyper-client");
        client.args([&port.to_string(), security.name()]).args(args);
        fixture.run(&mut client, 70)?.success()
    };
    vec![
        Case::new(name("get-100-mb"), move |fixture| {
            let port = fixture.port(Shared::Lacewingd, security)?;
            let printed = run(fixture, port, &["get", &format!("/{MB_100}")])?;
            expect(&printed, &fixture.answer(MB_100))
        }),
        Case::new(name("parallel-500"), move |fixture| {
            let port = fixture.port(Shared::Lacewingd, security)?;
            let printed = run(fixture, port, &["parallel", "500", &format!("/{SMALL}")])?;
            expect(&printed, &format!("500 {}", fixture.answer(SMALL)))
        }),
        Case::new(name("parallel-50"), move |fixture| {
            let port = fixture.port(Shared::Lacewingd, security)?;
            let printed = run(fixture, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
        }),
        Case::new(name("echo-100-mb"), move |fixture| {
            let file = fixture.file(MB_100);
            let args = ["post", "/echo", &file.to_string_lossy()];
            let printed = run(fixture, echo_port(fixture, "h2", security)?, &args)?;
            expect(&printed, &fixture.answer(MB_100))
        }),
        Case::new(name("trailers"), move |fixture| {
            let port = fixture.port(Shared::Site, security)?;
            let file = fixture.file(MB_1);
            let args = ["trailers", "/trailers", &file.to_string_lossy(), "x-sum=42"];
            expect(&run(fixture, port, &args)?, "x-sum=42")
        }),
    ]
}
