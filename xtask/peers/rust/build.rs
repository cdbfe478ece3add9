//! The echo service's client and server, from a description in Rust: no
//! protobuf compiler is needed.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::Message")
            .output_type("crate::Message")
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("Echo")
        .package("lacewing.interop")
        .method(method("unary", "Unary").build())
        .method(method("collect", "Collect").client_streaming().build())
        .method(method("repeat", "Repeat").server_streaming().build())
        .method(
            method("converse", "Converse")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().compile(&[service]);
    println!("cargo::rerun-if-changed=build.rs");
}
