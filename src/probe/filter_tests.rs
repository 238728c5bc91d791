use coral_ebpf_common::{
    Captured, STATUS_FAULT, STATUS_OK, STATUS_TRUNCATED, VALUE_BYTES, ValueKind, filter_matches,
};
use proptest::prelude::*;

use super::*;

/// A value of one of the arguments of [`arguments`].
#[derive(Clone, Debug)]
enum Value {
    Word(i128),
    Text(String),
}

fn arguments() -> Vec<FilterArgument> {
    [
        ("byte", ValueClass::Signed(1)),
        ("count", ValueClass::Unsigned(2)),
        ("amount", ValueClass::Signed(8)),
        ("size", ValueClass::Unsigned(8)),
        ("ok", ValueClass::Bool),
        ("user", ValueClass::Text),
        ("req", ValueClass::Pointer),
    ]
    .into_iter()
    .zip(0..)
    .map(|((name, class), index)| FilterArgument {
        name: name.into(),
        class,
        index,
    })
    .collect()
}

/// As the kernel's program leaves it.
fn captured(value: &Value) -> Captured {
    let mut captured = Captured {
        status: STATUS_OK,
        kind: ValueKind::Word as u8,
        len: 8,
        padding: 0,
        word: 0,
        bytes: [0; VALUE_BYTES],
    };
    match value {
        Value::Word(word) => captured.word = *word as u64,
        Value::Text(text) => {
            let kept = text.len().min(VALUE_BYTES);
            captured.kind = ValueKind::String as u8;
            captured.word = text.len() as u64;
            captured.len = kept as u16;
            captured.bytes[..kept].copy_from_slice(&text.as_bytes()[..kept]);
            if kept < text.len() {
                captured.status = STATUS_TRUNCATED;
            }
        }
    }
    captured
}

fn compile(text: &str) -> Result<Filter, FilterCompileError> {
    compile_filter(&Expression::parse(text).unwrap(), &arguments())
}

/// Whether a filter wants a call with one argument, the first whose name stands in the filter.
fn wants(text: &str, value: &Value) -> bool {
    let filter = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter_matches(&filter, &[captured(value); 7])
}

#[test]
fn constants_at_the_ends_of_a_type_are_compared_as_numbers() {
    let (i64_min, i64_max) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let u64_max = i128::from(u64::MAX);
    for (text, word, wanted) in [
        ("byte > 127", 127, false),
        ("byte >= 127", 127, true),
        ("byte >= -128", -128, true),
        ("byte < -128", -128, false),
        ("byte <= 300", 127, true),
        ("byte > -300", -128, true),
        ("byte == 255", -1, false),
        ("byte != 255", -1, true),
        ("byte < 0", -1, true),
        ("count == -1", 65535, false),
        ("count > -1", 0, true),
        ("count <= 65535", 65535, true),
        ("count > 65535", 65535, false),
        ("amount <= 9223372036854775807", i64_max, true),
        ("amount > 9223372036854775807", i64_max, false),
        ("amount >= -9223372036854775808", i64_min, true),
        ("amount < 18446744073709551615", i64_max, true),
        ("amount == 18446744073709551615", -1, false),
        ("size == 18446744073709551615", u64_max, true),
        ("size <= 18446744073709551615", u64_max, true),
        ("size > 18446744073709551615", u64_max, false),
        ("size > 9223372036854775807", i64_max + 1, true),
        ("size == -1", u64_max, false),
        ("size < -1", 0, false),
        ("ok == true", 1, true),
        ("ok == true", 255, true),
        ("ok != true", 0, true),
        ("ok == false", 1, false),
        ("req == nil", 0, true),
        ("req != nil", 0xc000, true),
        ("req == 0xc000", 0xc000, true),
        ("#3 == 7", 7, true),
    ] {
        assert_eq!(wants(text, &Value::Word(word)), wanted, "{text} of {word}");
    }
}

#[test]
fn strings_are_compared_by_their_bytes() {
    let long = "u".repeat(200);
    let constant = "u".repeat(PREDICATE_BYTES);
    for (text, value, wanted) in [
        ("user == \"u_1\"", "u_1", true),
        ("user == \"u_1\"", "u_12", false),
        ("user == \"u_1\\0\"", "u_1", false),
        ("user != \"u_1\"", "u_", true),
        ("user starts_with \"u_\"", "u_1", true),
        ("user starts_with \"u_1\"", "u_", false),
        ("user starts_with \"u\\0\"", "u", false),
        ("user starts_with \"\"", "", true),
        ("user == \"\"", "", true),
        ("user == \"\"", "u", false),
        (&format!("user starts_with \"{constant}\""), &long, true),
        (&format!("user == \"{constant}\""), &long, false),
        (&format!("user == \"{constant}\""), &constant, true),
        (&format!("user == \"{constant}\""), &long[..49], false),
    ] {
        assert_eq!(
            wants(text, &Value::Text(value.into())),
            wanted,
            "{text} of {value}"
        );
    }
}

#[test]
fn a_call_whose_value_could_not_be_read_is_not_wanted() {
    for text in [
        "amount == 0",
        "amount != 0",
        "amount < 99999999999 or byte == 0",
        "size >= 0",
    ] {
        let filter = compile(text).unwrap();
        let mut values = [captured(&Value::Word(0)); 7];
        assert_eq!(
            filter_matches(&filter, &values),
            text != "amount != 0",
            "{text}"
        );
        values[2].status = STATUS_FAULT;
        values[3].kind = ValueKind::None as u8;
        assert!(!filter_matches(&filter, &values), "{text}");
        assert!(!filter_matches(&filter, &[]), "{text}");
    }
    // Of a string, as much as is compared is enough.
    let mut value = captured(&Value::Text("abcd".into()));
    value.status = STATUS_TRUNCATED;
    for (text, wanted) in [
        ("user starts_with \"abc\"", true),
        ("user starts_with \"abcd\"", true),
        ("user == \"abcd\"", false),
        ("user != \"abcd\"", true),
        ("not user starts_with \"abcde\"", false),
        ("user != \"abcde\"", false),
    ] {
        assert_eq!(
            filter_matches(&compile(text).unwrap(), &[value; 7]),
            wanted,
            "{text}"
        );
    }
}

#[test]
fn without_a_filter_every_call_is_wanted() {
    assert!(filter_matches(&Filter::default(), &[]));
}

#[test]
fn equal_comparisons_share_a_predicate() {
    for (text, predicates) in [
        ("byte < 5 or byte >= 5", 1),
        ("byte <= 4 or byte > 4 or byte < 5", 1),
        ("byte == 5 and not byte != 5", 1),
        ("byte == 5 or amount == 5", 2),
        ("ok == true or ok == false", 1),
        ("user == \"a\" or user starts_with \"a\"", 2),
    ] {
        assert_eq!(compile(text).unwrap().len, predicates, "{text}");
    }
}

#[test]
fn what_does_not_fit_the_arguments_is_refused() {
    let names = "there are byte, count, amount, size, ok, user, req";
    let many: Vec<String> = (0..9).map(|it| format!("amount == {it}")).collect();
    for (text, message) in [
        ("total == 1", format!("no argument is called `total`: {names}")),
        ("#8 == 1", format!("no argument is called `#8`: {names}")),
        ("user == 1", "`user == 1` cannot be compared: the argument is a string: compare it with one in double quotes, by ==, != or starts_with".into()),
        ("user < \"a\"", "`user < \"a\"` cannot be compared: the argument is a string: compare it with one in double quotes, by ==, != or starts_with".into()),
        ("byte == \"a\"", "`byte == \"a\"` cannot be compared: the argument is a signed integer of 1 bytes".into()),
        ("count starts_with 1", "`count starts_with 1` cannot be compared: the argument is an unsigned integer of 2 bytes".into()),
        ("ok == 1", "`ok == 1` cannot be compared: the argument is a truth value: compare it with true or false".into()),
        ("ok < true", "`ok < true` cannot be compared: the argument is a truth value: compare it with true or false".into()),
        ("req > 1", "`req > 1` cannot be compared: the argument is a pointer: compare it with nil or an address, by == or !=".into()),
        (&many.join(" or "), "it has more than 8 different comparisons".into()),
        (&format!("user == \"{}\"", "x".repeat(49)), "a string of 49 bytes is too long: 48 are compared at most".into()),
    ] {
        assert_eq!(compile(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(compile(&many[..8].join(" or ")).is_ok());
}

/// What an expression means, read straight from it.
fn holds(expression: &Expression, values: &[Value]) -> bool {
    expression.holds(&|comparison| comparison_holds(comparison, values))
}

fn comparison_holds(comparison: &Comparison, values: &[Value]) -> bool {
    let place = arguments()
        .iter()
        .position(|it| comparison.argument == Argument::Name(it.name.clone()))
        .unwrap();
    let order = match (&values[place], &comparison.literal) {
        (Value::Word(word), Literal::Integer(constant)) => word.cmp(constant),
        (Value::Word(word), Literal::Bool(truth)) => (*word != 0).cmp(truth),
        (Value::Word(word), Literal::Nil) => word.cmp(&0),
        (Value::Text(text), Literal::Text(constant)) => {
            if comparison.operator == Operator::StartsWith {
                return text.starts_with(constant);
            }
            text.cmp(constant)
        }
        other => panic!("{other:?}"),
    };
    match comparison.operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::StartsWith => panic!("{comparison}"),
    }
}

/// Few enough texts that they meet, some of which begin with others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,3}", "a{7,9}", "a{15,17}b?", "a{39,48}"]
}

/// Numbers of a type, mostly at its ends and near 0.
fn any_number(min: i128, max: i128) -> impl Strategy<Value = i128> {
    prop_oneof![min..=max, min..=min + 2, max - 2..=max, 0..3_i128]
}

fn any_comparison() -> impl Strategy<Value = Expression> {
    use Operator::*;
    let order = || {
        prop::sample::select(vec![
            Equal,
            NotEqual,
            Less,
            LessOrEqual,
            Greater,
            GreaterOrEqual,
        ])
    };
    let equality = || prop::sample::select(vec![Equal, NotEqual]);
    let constant = prop_oneof![
        any_number(i128::from(i64::MIN), i128::from(u64::MAX)),
        any_number(-129, 128),
        any_number(-1, 65536),
        any_number(-2, i128::from(i64::MAX) + 1),
    ];
    let names = prop::sample::select(vec!["byte", "count", "amount", "size"]);
    let texts = prop::sample::select(vec![Equal, NotEqual, StartsWith]);
    prop_oneof![
        4 => (names, order(), constant.prop_map(Literal::Integer)),
        1 => (Just("ok"), equality(), any::<bool>().prop_map(Literal::Bool)),
        2 => (Just("user"), texts, any_text().prop_map(Literal::Text)),
        1 => (Just("req"), equality(), Just(Literal::Nil)),
    ]
    .prop_map(|(name, operator, literal)| {
        Expression::Condition(Comparison {
            argument: Argument::Name(name.into()),
            operator,
            literal,
        })
    })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_comparison().prop_recursive(4, 8, 3, |inner| {
        let parts = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts.clone().prop_map(Expression::Or),
            parts.prop_map(Expression::And),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

fn any_values() -> impl Strategy<Value = Vec<Value>> {
    let word = |min, max| any_number(min, max).prop_map(Value::Word).boxed();
    vec![
        word(-128, 127),
        word(0, 65535),
        word(i128::from(i64::MIN), i128::from(i64::MAX)),
        word(0, i128::from(u64::MAX)),
        (0..=1_i128).prop_map(Value::Word).boxed(),
        any_text().prop_map(Value::Text).boxed(),
        prop_oneof![Just(0), Just(0xc000)]
            .prop_map(Value::Word)
            .boxed(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_compiled_filter_means_what_the_expression_means(
        expression in any_expression(),
        values in any_values(),
    ) {
        let filter = match compile_filter(&expression, &arguments()) {
            Err(FilterCompileError::TooManyComparisons) => return Err(TestCaseError::reject("large")),
            other => other.unwrap(),
        };
        let captured: Vec<Captured> = values.iter().map(captured).collect();
        prop_assert_eq!(
            filter_matches(&filter, &captured),
            holds(&expression, &values),
            "{}", expression
        );
    }
}
