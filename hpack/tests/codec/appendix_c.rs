//! RFC 7541, appendix C: every example byte for byte, in both directions.

use bytes::BytesMut;
use lacewing_hpack::{
    Decoder, Encoder, EncoderConfig, HeaderField, Indexing, ListLimits, Sensitivity, StringCoding,
};

use crate::story::{List, hex};

/// Blocks that share a dynamic table.
struct Example {
    section: &'static str,
    table_size: usize,
    indexing: Indexing,
    strings: StringCoding,
    sensitivity: Sensitivity,
    cases: &'static [Case],
}

struct Case {
    wire: &'static str,
    headers: &'static [(&'static str, &'static str)],
    table_size_after: usize,
}

const SINGLE: Example = Example {
    section: "C.2",
    table_size: 4096,
    indexing: Indexing::Everything,
    strings: StringCoding::Plain,
    sensitivity: Sensitivity::Normal,
    cases: &[],
};

const REQUEST_1: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
];
const REQUEST_2: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const REQUEST_3: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];
const RESPONSE_1: &[(&str, &str)] = &[
    (":status", "302"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
];
const RESPONSE_2: &[(&str, &str)] = &[
    (":status", "307"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
];
const RESPONSE_3: &[(&str, &str)] = &[
    (":status", "200"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    ("location", "https://www.example.com"),
    ("content-encoding", "gzip"),
    (
        "set-cookie",
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ),
];

const EXAMPLES: &[Example] = &[
    Example {
        section: "C.2.1",
        cases: &[Case {
            wire: "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            headers: &[("custom-key", "custom-header")],
            table_size_after: 55,
        }],
        ..SINGLE
    },
    Example {
        section: "C.2.2",
        indexing: Indexing::Nothing,
        cases: &[Case {
            wire: "040c2f73616d706c652f70617468",
            headers: &[(":path", "/sample/path")],
            table_size_after: 0,
        }],
        ..SINGLE
    },
    Example {
        section: "C.2.3",
        sensitivity: Sensitivity::Sensitive,
        cases: &[Case {
            wire: "100870617373776f726406736563726574",
            headers: &[("password", "secret")],
            table_size_after: 0,
        }],
        ..SINGLE
    },
    Example {
        section: "C.2.4",
        cases: &[Case {
            wire: "82",
            headers: &[(":method", "GET")],
            table_size_after: 0,
        }],
        ..SINGLE
    },
    Example {
        section: "C.3",
        cases: &[
            Case {
                wire: "828684410f7777772e6578616d706c652e636f6d",
                headers: REQUEST_1,
                table_size_after: 57,
            },
            Case {
                wire: "828684be58086e6f2d6361636865",
                headers: REQUEST_2,
                table_size_after: 110,
            },
            Case {
                wire: "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
                headers: REQUEST_3,
                table_size_after: 164,
            },
        ],
        ..SINGLE
    },
    Example {
        section: "C.4",
        strings: StringCoding::Huffman,
        cases: &[
            Case {
                wire: "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                headers: REQUEST_1,
                table_size_after: 57,
            },
            Case {
                wire: "828684be5886a8eb10649cbf",
                headers: REQUEST_2,
                table_size_after: 110,
            },
            Case {
                wire: "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
                headers: REQUEST_3,
                table_size_after: 164,
            },
        ],
        ..SINGLE
    },
    Example {
        section: "C.5",
        table_size: 256,
        cases: &[
            Case {
                wire: "4803333032580770726976617465611d4d6f6e2c203231204f63742032303133\
                       2032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d70\
                       6c652e636f6d",
                headers: RESPONSE_1,
                table_size_after: 222,
            },
            Case {
                wire: "4803333037c1c0bf",
                headers: RESPONSE_2,
                table_size_after: 222,
            },
            Case {
                wire: "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d\
                       54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f5049\
                       5541585157454f49553b206d61782d6167653d333630303b2076657273696f6e\
                       3d31",
                headers: RESPONSE_3,
                table_size_after: 215,
            },
        ],
        ..SINGLE
    },
    Example {
        section: "C.6",
        table_size: 256,
        strings: StringCoding::Huffman,
        cases: &[
            Case {
                wire: "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a6\
                       2d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
                headers: RESPONSE_1,
                table_size_after: 222,
            },
            Case {
                wire: "4883640effc1c0bf",
                headers: RESPONSE_2,
                table_size_after: 222,
            },
            Case {
                wire: "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab\
                       77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f\
                       9587316065c003ed4ee5b1063d5007",
                headers: RESPONSE_3,
                table_size_after: 215,
            },
        ],
        ..SINGLE
    },
];

#[test]
fn decoded() {
    for example in EXAMPLES {
        let mut decoder = Decoder::new(example.table_size);
        for case in example.cases {
            check_decoding(
                example.section,
                &mut decoder,
                &hex(case.wire),
                &list(case.headers),
                example.sensitivity,
            );
            assert_eq!(decoder.table_size(), case.table_size_after);
        }
    }
}

#[test]
fn encoded() {
    for example in EXAMPLES {
        let mut encoder = Encoder::with_config(EncoderConfig::DEFAULT.with(|config| {
            config.max_table_size = example.table_size;
            config.indexing = example.indexing;
            config.strings = example.strings;
        }));
        // The examples assume a table size that an encoder must signal.
        let mut block = BytesMut::new();
        let _ = encoder.block(&mut block);
        for case in example.cases {
            block.clear();
            let mut fields = encoder.block(&mut block);
            for (name, value) in case.headers {
                fields.field(name.as_bytes(), value.as_bytes(), example.sensitivity);
            }
            assert_eq!(block, hex(case.wire), "{}", example.section);
            assert_eq!(encoder.table_size(), case.table_size_after);
        }
    }
}

/// The same examples from a file that also has the table's entries after each block.
#[test]
fn the_table_has_the_entries_of_the_examples() {
    let text = include_str!("../appendix-c.json");
    let sections: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut seen = 0;
    for section in sections.as_array().unwrap() {
        let Some(table_size) = section["dynamic_table_size"].as_u64() else {
            continue;
        };
        let mut decoder = Decoder::new(table_size as usize);
        for case in section["cases"].as_array().unwrap() {
            if section["one_connection"] == false {
                decoder = Decoder::new(table_size as usize);
            }
            let name = case["section"].as_str().unwrap();
            let headers = pairs(&case["headers"]);
            let sensitivity = match name {
                "C.2.3" => Sensitivity::Sensitive,
                _ => Sensitivity::Normal,
            };
            let wire = hex(case["wire"].as_str().unwrap());
            check_decoding(name, &mut decoder, &wire, &headers, sensitivity);
            let table = pairs(&case["dynamic_table_after"]);
            let indices: Vec<u8> = (0..table.len())
                .map(|age| 0x80 | (62 + age as u8))
                .collect();
            check_decoding(name, &mut decoder, &indices, &table, Sensitivity::Normal);
            assert_eq!(
                Some(decoder.table_size() as u64),
                case["dynamic_table_size_after"].as_u64()
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 16);
}

fn check_decoding(
    section: &str,
    decoder: &mut Decoder<HeaderField>,
    wire: &[u8],
    headers: &List,
    expected: Sensitivity,
) {
    let mut list = List::new();
    let summary = decoder
        .decode(wire, ListLimits::default(), |field, sensitivity| {
            assert_eq!(sensitivity, expected, "{section}");
            list.push((field.name().to_vec(), field.value().to_vec()));
        })
        .unwrap();
    assert_eq!(&list, headers, "{section}");
    assert_eq!(summary.fields, headers.len());
    let size = headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 32);
    assert_eq!(summary.size, size.sum::<usize>());
}

fn list(headers: &[(&str, &str)]) -> List {
    let bytes = |text: &str| text.as_bytes().to_vec();
    headers
        .iter()
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect()
}

fn pairs(value: &serde_json::Value) -> List {
    let bytes = |text: &serde_json::Value| text.as_str().unwrap().as_bytes().to_vec();
    let pairs = value.as_array().unwrap().iter();
    pairs
        .map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
        .collect()
}
