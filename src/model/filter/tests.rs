use proptest::prelude::*;

use super::*;

/// A filter and its canonical text.
fn check(text: &str, canonical: &str) {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(expression.to_string(), canonical, "{text}");
    assert_eq!(Expression::parse(canonical), Ok(expression), "{text}");
}

#[test]
fn filters_are_read_and_shown_in_one_way() {
    for (text, canonical) in [
        (
            "amount > 100 and user == \"u_1\"",
            "amount > 100 and user == \"u_1\"",
        ),
        ("a==1&&b!=2||!c<3", "a == 1 and b != 2 or not c < 3"),
        (
            "a == 1 and (b == 2 or c == 3)",
            "a == 1 and (b == 2 or c == 3)",
        ),
        (
            "(a == 1 and b == 2) or c == 3",
            "a == 1 and b == 2 or c == 3",
        ),
        (
            "(a == 1 or b == 2) or c == 3",
            "(a == 1 or b == 2) or c == 3",
        ),
        ("not (a == 1 or b == 2)", "not (a == 1 or b == 2)"),
        ("not (a == 1) and b == 2", "not a == 1 and b == 2"),
        ("! ! ((a<=1))", "not not a <= 1"),
        ("req.ID >= -1_000", "req.ID >= -1000"),
        ("self.0.größe == 0xFF_ff", "self.0.größe == 65535"),
        ("#1 != nil && #12 == null", "#1 != nil and #12 == nil"),
        ("ok == true or ok == false", "ok == true or ok == false"),
        ("d > 10ms", "d > 10000000"),
        ("d > 10us and e < 10µs", "d > 10000 and e < 10000"),
        ("d < -2h", "d < -7200000000000"),
        ("n >= 4KiB and m < 1TiB", "n >= 4096 and m < 1099511627776"),
        ("n == 18446744073709551615", "n == 18446744073709551615"),
        ("n == -9223372036854775808", "n == -9223372036854775808"),
        ("path starts_with \"/api\"", "path starts_with \"/api\""),
        (r#"s == "\"\\\n\u{202E}ü""#, r#"s == "\"\\\u{a}\u{202e}ü""#),
        ("order == 1 and android == 2", "order == 1 and android == 2"),
        ("req.not == 1", "req.not == 1"),
    ] {
        check(text, canonical);
    }
}

#[test]
fn words_bind_as_they_do_elsewhere() {
    let comparison = |name: &str| {
        Expression::Condition(Comparison {
            argument: Argument::Name(name.into()),
            operator: Operator::Equal,
            literal: Literal::Integer(1),
        })
    };
    let [a, b, c] = ["a", "b", "c"].map(comparison);
    assert_eq!(
        Expression::parse("a == 1 or not b == 1 and c == 1"),
        Ok(Expression::Or(vec![
            a,
            Expression::And(vec![Expression::Not(Box::new(b)), c])
        ]))
    );
}

#[test]
fn a_filter_that_cannot_be_read_again_is_refused() {
    let text = |len: usize| format!("a == \"{}\"", "\u{202e}".repeat(len));
    let read = Expression::parse(&text(500)).unwrap();
    assert_eq!(Expression::parse(&read.to_string()), Ok(read));
    let error = Expression::parse(&text(1_000)).unwrap_err();
    assert_eq!(error.kind, FilterErrorKind::TooLong);
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let long = format!("a == \"{}\"", "x".repeat(FILTER_BYTES_MAX));
    let deep = format!("{}a == 1", "(".repeat(100));
    let negated = "not ".repeat(1000);
    for (text, position, message) in [
        (
            "",
            0,
            "expected the name of an argument, `not` or `(`, found the end",
        ),
        (
            "  ",
            2,
            "expected the name of an argument, `not` or `(`, found the end",
        ),
        (
            "and",
            0,
            "expected the name of an argument, `not` or `(`, found `and`",
        ),
        (
            "100 < a",
            0,
            "expected the name of an argument, `not` or `(`, found `100`",
        ),
        (
            "a = 5",
            2,
            "expected a comparison: ==, !=, <, <=, >, >= or starts_with, found `=`",
        ),
        (
            "a",
            1,
            "expected a comparison: ==, !=, <, <=, >, >= or starts_with, found the end",
        ),
        (
            "a ~ \"b\"",
            2,
            "expected a comparison: ==, !=, <, <=, >, >= or starts_with, found `~`",
        ),
        (
            "a == b",
            5,
            "expected a number, a string in double quotes, true, false or nil, found `b`",
        ),
        (
            "a == 'b'",
            5,
            "expected a number, a string in double quotes, true, false or nil, found `'`",
        ),
        ("a == 1 b", 7, "expected `and`, `or` or the end, found `b`"),
        ("a == 1)", 6, "expected `and`, `or` or the end, found `)`"),
        ("(a == 1", 7, "expected `and`, `or` or `)`, found the end"),
        (
            "a == \u{202e}",
            5,
            "expected a number, a string in double quotes, true, false or nil, found `\\u{202e}`",
        ),
        (
            "a. == 1",
            1,
            "expected a comparison: ==, !=, <, <=, >, >= or starts_with, found `.`",
        ),
        (
            "#0 == 1",
            0,
            "expected the position of an argument, from 1, found `#0`",
        ),
        (
            "# == 1",
            0,
            "expected the position of an argument, from 1, found `#`",
        ),
        (
            "#x == 1",
            0,
            "expected the position of an argument, from 1, found `#x`",
        ),
        ("a == 0x", 5, "expected a number, found `0x`"),
        ("a == 0x12ms", 5, "expected a number, found `0x12ms`"),
        (
            "a > 10parsec",
            6,
            "expected a unit: ns, us, ms, s, m, h, B, KiB, MiB, GiB or TiB, found `parsec`",
        ),
        (
            "a > 1.5ms",
            5,
            "numbers are whole: write a smaller unit, as in `1500us`",
        ),
        (
            "a > 18446744073709551616",
            4,
            "the number does not fit in 64 bits",
        ),
        (
            "a > -9223372036854775809",
            4,
            "the number does not fit in 64 bits",
        ),
        ("a > 99999999999h", 4, "the number does not fit in 64 bits"),
        ("a == \"b", 5, "a string is not closed"),
        (
            "a == \"b\\",
            7,
            r#"the escapes of strings are \" \\ \n \r \t \0 and \u{...}"#,
        ),
        (
            "a == \"\\x41\"",
            6,
            r#"the escapes of strings are \" \\ \n \r \t \0 and \u{...}"#,
        ),
        (
            "a == \"\\u{d800}\"",
            6,
            r#"the escapes of strings are \" \\ \n \r \t \0 and \u{...}"#,
        ),
        (
            "a == \"\\u{}\"",
            6,
            r#"the escapes of strings are \" \\ \n \r \t \0 and \u{...}"#,
        ),
        (&long, 4096, "it is longer than 4096 bytes"),
        (&deep, 32, "it is nested deeper than 32 levels"),
        (&negated, 128, "it is nested deeper than 32 levels"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(
            (error.position, &*error.kind.to_string()),
            (position, message),
            "{text}"
        );
    }
}

#[test]
fn as_deep_as_allowed_is_read() {
    let text = format!("{}a == 1{}", "(".repeat(32), ")".repeat(32));
    check(&text, "a == 1");
    let text = format!("{}a == 1", "not ".repeat(32));
    check(&text, &text);
}

#[test]
fn a_caret_points_at_the_error() {
    let wide = format!("{}名 == 5 x", "a == 1 or ".repeat(10));
    let shown = "… a == 1 or a == 1 or a == 1 or a == 1 or 名 == 5 x";
    for (text, rendered) in [
        ("a = 5", "a = 5\n  ^".to_owned()),
        ("名 = 5", "名 = 5\n   ^".to_owned()),
        ("a == 1\t)", "a == 1\\u{9})\n           ^".to_owned()),
        ("a", "a\n ^".to_owned()),
        (
            "a = 5 and b == 6 and c == 7 and d == 8",
            "a = 5 and b == 6 and c == 7 an…\n  ^".to_owned(),
        ),
        (&wide, format!("{shown}\n{:50}^", "")),
    ] {
        assert_eq!(
            Expression::parse(text).expect_err(text).render(text),
            rendered
        );
    }
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Literal::Integer),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Nil),
        any::<String>().prop_map(Literal::Text),
    ]
}

fn any_comparison() -> impl Strategy<Value = Expression> {
    use Operator::*;
    let argument = prop_oneof![
        "[a-z_ß][a-z0-9_ü]{0,8}(\\.[A-Z0-9]{1,3}){0,2}"
            .prop_filter("words of the language", |name| Expression::parse(&format!(
                "{name} == 1"
            ))
            .is_ok())
            .prop_map(Argument::Name),
        (1..=u32::MAX).prop_map(Argument::Position),
    ];
    let operator = prop::sample::select(vec![
        Equal,
        NotEqual,
        Less,
        LessOrEqual,
        Greater,
        GreaterOrEqual,
        StartsWith,
    ]);
    (argument, operator, any_literal()).prop_map(|(argument, operator, literal)| {
        Expression::Condition(Comparison {
            argument,
            operator,
            literal,
        })
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
        prop_assume!(text.len() <= FILTER_BYTES_MAX);
        prop_assert_eq!(Expression::parse(&text), Ok(expression), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_at_one_of_its_characters(text in "[a-z(!\"#0-9xé\\\\ =<&|.-]{0,60}|\\PC{0,60}") {
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(text.is_char_boundary(error.position));
            prop_assert!(error.render(&text).ends_with('^'));
        }
    }
}
