use proptest::prelude::*;

use super::field::{Field, Kind};
use super::*;

#[track_caller]
fn parsed(text: &str) -> Expression {
    match read(text) {
        Some(Ok(expression)) => expression,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn an_expression_is_displayed_in_one_way() {
    for (text, displayed) in [
        (
            "p99 > 10ms and name = main.*",
            "p99 > 10ms and name = main.*",
        ),
        ("calls/s>=100||errors>0%", "rate >= 100 or errors > 0%"),
        ("not package = runtime*", "not package = runtime*"),
        ("!(probed && ! own_code)", "not (probed and not own_code)"),
        ("(p50<1.5 µs)", "p50 < 1.5µs"),
        ("P99 > 0 AND Lang == c++", "p99 > 0 and lang = c++"),
        ("size > 1k or size = 1_000", "size > 1k or size = 1000"),
        ("name = main.(*Cart).Add", "name = main.(*Cart).Add"),
        ("(name=main.(*Cart).Add)", "name = main.(*Cart).Add"),
        ("name ~ \"<A as B>::f\"", "name ~ \"<A as B>::f\""),
        (r#"name = "a\" \\b""#, r#"name = "a\" \\b""#),
        (
            "not (name = \"(\" or probed)",
            "not (name = \"(\" or probed)",
        ),
        (
            "probed or probe != none and probed",
            "probed or probe != none and probed",
        ),
        (
            "(probed or probed) and probed",
            "(probed or probed) and probed",
        ),
    ] {
        assert_eq!(parsed(text).to_string(), displayed, "{text}");
    }
}

#[test]
fn words_stay_words() {
    for text in [
        "",
        "p99",
        "checkout",
        "main !cart",
        "^net 'http",
        "vector<int>",
        "operator=",
        "a<b>c",
        "my::size<int>",
        "and",
        "not",
        "!probe",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn errors_say_what_is_expected_where() {
    let deep = format!("{}probed", "!".repeat(33));
    for (text, at, expected) in [
        ("p99 >", 5, "a time such as 10ms"),
        ("p99 > ten", 6, "a time such as 10ms"),
        ("p99 > 10", 8, "a unit: ns, us, ms, s"),
        ("p99 > 10min", 8, "a unit: ns, us, ms, s"),
        ("p99 > 1.2.3s", 6, "a time such as 10ms"),
        ("calls > 5%", 9, "a unit: k, M"),
        ("size < ", 7, "a number"),
        ("name > x", 5, "`=`, `!=` or `~`"),
        ("name = ", 7, "text, with * for anything"),
        ("name = \"main", 12, "`\"`"),
        ("p99 ~ 1ms", 4, "`=`, `!=`, `<`, `<=`, `>` or `>=`"),
        ("lang = perl", 7, "go, rust, c, c++, assembly, unknown"),
        ("probe < full", 6, "`=` or `!=`"),
        (
            "latency > 1ms",
            0,
            "a field such as name, p99 or errors; `not`; or `(`",
        ),
        (
            "p99 > 1ms and",
            13,
            "a field such as name, p99 or errors; `not`; or `(`",
        ),
        ("p99 > 1ms cart", 10, "`and`, `or` or the end"),
        ("p99 > 1ms)", 9, "`and`, `or` or the end"),
        ("(p99 > 1ms", 10, "`and`, `or` or `)`"),
        (
            &format!("{deep} or p99 > 1s"),
            33,
            "fewer parentheses and negations",
        ),
    ] {
        let error = read(text)
            .unwrap_or_else(|| panic!("{text}"))
            .expect_err(text);
        assert_eq!((error.at, &*error.expected), (at, expected), "{text}");
    }
}

#[test]
fn fields_are_completed_as_far_as_they_are_one() {
    for (text, rest) in [
        ("pac", Some("kage ")),
        ("probed and in", Some("_flight ")),
        ("pro", Some("be")),
        ("probed", None),
        ("own", Some("_code")),
        ("x", None),
        ("", None),
        ("p99 ", None),
    ] {
        assert_eq!(complete(text).as_deref(), rest, "{text}");
    }
}

fn any_comparison() -> impl Strategy<Value = Expression> {
    let fields: Vec<Field> = Field::ALL.iter().map(|&(_, field)| field).collect();
    let number = prop_oneof![(0..1_000_000u32).prop_map(f64::from), 0.0..1e15];
    let index = any::<prop::sample::Index>;
    (
        prop::sample::select(fields),
        index(),
        index(),
        ".{1,12}",
        number,
    )
        .prop_map(|(field, operator, choice, text, number)| {
            let value = match field.kind() {
                Kind::Flag => return Expression::Condition(Condition::Flag(field)),
                Kind::Text => Value::Text(text),
                Kind::Word(words) => Value::Text(choice.get(words).to_string()),
                Kind::Number(units) => match choice.get(units) {
                    unit if unit.size == 0.0 => Value::Number(0.0, unit),
                    unit => Value::Number(number, unit),
                },
            };
            let (operators, _) = field.kind().operators();
            Expression::Condition(Condition::Comparison(Comparison {
                field,
                operator: *operator.get(operators),
                value,
            }))
        })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_comparison().prop_recursive(5, 12, 4, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts.clone().prop_map(Expression::Or),
            parts.prop_map(Expression::And),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_displayed_is_read_as_the_same(expression in any_expression()) {
        let text = expression.to_string();
        prop_assert_eq!(parse::parse(&text), Ok(expression), "{}", text);
    }

    #[test]
    fn any_text_is_words_or_read_or_refused_at_one_of_its_characters(
        text in "(name|p99|size|and|or|not|probed|lang|[ (\")=<>!~&|*\\\\0-9.kµms]){0,20}|\\PC{0,40}",
    ) {
        if let Some(Err(error)) = read(&text) {
            prop_assert!(text.is_char_boundary(error.at));
        }
        complete(&text);
    }
}
