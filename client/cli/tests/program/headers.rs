//! `lacewing headers`: header blocks to JSON or text, and back.

use std::process::Output;

use serde_json::{Value, json};

use super::lacewing::run_with;

const CODECS: [&str; 3] = ["hpack", "spdy/3", "spdy/2"];

/// Runs `lacewing headers` with this input.
fn run(args: &[&str], input: &[u8]) -> Output {
    run_with(&[&["headers"], args].concat(), input)
}

fn document(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn digits_decode_to_text() {
    let output = run(&["decode", "--hex", "--text"], b"82 86 84\n\n0x88\n");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = ":method: GET\n:scheme: http\n:path: /\n\n:status: 200\n\n";
    assert_eq!(text, expected);
}

#[test]
fn every_codec_decodes_what_it_encodes() {
    let lists = json!([
        [{":method": "GET"}, {"accept": "*/*"}, {"cookie": "a=1"}, {"cookie": "b=2"}],
        [{":method": "GET"}, {"accept": "*/*"}, {"x-bytes": {"hex": "ff00fe"}}],
        [{":method": "GET"}, {"accept": "*/*"}],
    ]);
    let cases = lists.as_array().unwrap().iter();
    let cases: Vec<_> = cases.map(|list| json!({ "headers": list })).collect();
    for codec in CODECS {
        // NUL joins the values of a name in SPDY: no value contains it.
        let mut cases = cases.clone();
        if codec != "hpack" {
            cases[1]["headers"][2]["x-bytes"]["hex"] = "ff01fe".into();
        }
        let input = json!({ "cases": cases }).to_string();
        let encoded = document(&run(&["encode", "--codec", codec], input.as_bytes()));
        assert_eq!(encoded["codec"], codec.replace('/', ""));
        let mut blocks = encoded.clone();
        for case in blocks["cases"].as_array_mut().unwrap() {
            case.as_object_mut().unwrap().remove("headers");
        }
        // The document names its codec.
        let decoded = document(&run(&["decode"], blocks.to_string().as_bytes()));
        for (number, case) in cases.iter().enumerate() {
            let decoded = &decoded["cases"][number];
            assert_eq!(decoded["headers"], case["headers"], "{codec}");
            assert_eq!(decoded["seq"], number);
            assert_eq!(decoded["wire"], encoded["cases"][number]["wire"]);
        }
        // The compression context goes on: the third list repeats the first.
        let length = |number: usize| encoded["cases"][number]["output_length"].as_u64().unwrap();
        assert!(length(2) < length(0) / 2, "{codec}: {encoded}");
    }
}

/// The table after RFC 7541 C.3.1, behind an update of its size to 256 bytes.
#[test]
fn the_table_is_shown() {
    let wire = "3fe101828684410f7777772e6578616d706c652e636f6d";
    let input = json!({ "cases": [{ "wire": wire, "header_table_size": 256 }] }).to_string();
    let decoded = document(&run(&["decode", "-d"], input.as_bytes()));
    let table = json!({
        "entries": [{ "index": 62, "name": ":authority", "value": "www.example.com", "size": 57 }],
        "size": 57,
        "max_size": 256,
    });
    assert_eq!(decoded["cases"][0]["header_table"], table);
    let again = document(&run(&["encode", "-d"], decoded.to_string().as_bytes()));
    assert_eq!(again["cases"][0]["header_table"], table);
}

#[test]
fn never_indexed_fields_stay_so() {
    // RFC 7541 C.2.3.
    let output = run(&["decode", "--hex"], b"100870617373776f726406736563726574");
    let decoded = document(&output);
    assert_eq!(decoded["cases"][0]["never_indexed"], json!([0]));
    let encoded = document(&run(&["encode", "-d"], decoded.to_string().as_bytes()));
    assert_eq!(encoded["cases"][0]["never_indexed"], json!([0]));
    assert_eq!(encoded["cases"][0]["header_table"]["entries"], json!([]));
}

#[test]
fn broken_input_names_its_case() {
    let decode = |input: &str| error(&run(&["decode"], input.as_bytes()));
    assert!(decode("{").contains("EOF"));
    assert!(decode(r#"{"cases":[{"headers":[]}]}"#).contains("case 0: there is no `wire`"));
    assert!(decode(r#"{"cases":[{"wire":"82"},{"wire":"8"}]}"#).contains("case 1: "));
    assert!(decode(r#"{"cases":[{"seq":7,"wire":"80"}]}"#).contains("case 7: "));
    let differs = r#"{"cases":[{"wire":"82","headers":[{":method":"POST"}]}]}"#;
    assert!(decode(differs).contains("does not decode to the `headers`"));
    let broken = run(&["decode", "--codec", "spdy/3", "--hex"], b"ffff\n");
    assert!(error(&broken).contains("zlib"));
    let two_keys = r#"{"cases":[{"headers":[{"a":"b","c":"d"}]}]}"#;
    let refused = error(&run(&["encode"], two_keys.as_bytes()));
    assert!(refused.contains("headers[0]"), "{refused}");
    let refused = error(&run(&["encode", "--text"], b"no field\n"));
    assert!(refused.contains("line 1"), "{refused}");
}
