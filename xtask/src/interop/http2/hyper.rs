//! hyper as a client.

use super::echo_port;
use crate::interop::lab::{Lab, MB_1, MB_100, MEDIUM, SMALL, Security, Shared};
use crate::interop::{Case, expect};

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/hyper/{what}-{}", security.name());
    let run = move |lab: &Lab, port: u16, args: &[&str]| {
        let mut client = lab.rust("hyper-client");
        client.args([&port.to_string(), security.name()]).args(args);
        lab.run(&mut client, 70)?.success()
    };
    vec![
        Case::new(name("get-100-mb"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            let printed = run(lab, port, &["get", &format!("/{MB_100}")])?;
            expect(&printed, &lab.answer(MB_100))
        }),
        Case::new(name("parallel-500"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            let printed = run(lab, port, &["parallel", "500", &format!("/{SMALL}")])?;
            expect(&printed, &format!("500 {}", lab.answer(SMALL)))
        }),
        Case::new(name("parallel-50"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            let printed = run(lab, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
        }),
        Case::new(name("echo-100-mb"), move |lab| {
            let file = lab.file(MB_100);
            let args = ["post", "/echo", &file.to_string_lossy()];
            let printed = run(lab, echo_port(lab, "h2", security)?, &args)?;
            expect(&printed, &lab.answer(MB_100))
        }),
        Case::new(name("trailers"), move |lab| {
            let port = lab.port(Shared::Site, security)?;
            let file = lab.file(MB_1);
            let args = ["trailers", "/trailers", &file.to_string_lossy(), "x-sum=42"];
            expect(&run(lab, port, &args)?, "x-sum=42")
        }),
    ]
}
