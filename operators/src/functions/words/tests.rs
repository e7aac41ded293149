//! `words` against cases by hand and against a regular expression over the lower-cased text.

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::{DataType, Schema};
use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;

/// The lists of a column, decoded.
fn lists(list: &ListArray) -> Vec<Option<Vec<String>>> {
    let one = |values: ArrayRef| {
        let codes = values.as_dictionary::<UInt32Type>();
        let words = codes.values().as_string_view();
        codes.keys().values().iter().map(|code| words.value(*code as usize).to_owned()).collect()
    };
    (0..list.len()).map(|row| list.is_valid(row).then(|| one(list.value(row)))).collect()
}

fn words_of(text: &str) -> Vec<String> {
    lists(&words_encoded(&StringViewArray::from(vec![text])).unwrap()).remove(0).unwrap()
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(words_of(text), expect, "{text:?}");
}

#[test]
fn runs_of_three_letters_and_more() {
    check("", &[]);
    check("ab", &[]);
    check("abc", &["abc"]);
    check("  The quick, BROWN fox.", &["the", "quick", "brown", "fox"]);
    check("the the the", &["the", "the", "the"]);
    check("don't it's we'll", &["don"]);
    check("abc1def2gh", &["abc", "def"]);
    check("@[`{abc}~", &["abc"]);
    check("snake_case kebab-case", &["snake", "case", "kebab", "case"]);
    check("a\u{0}bcd\u{0}", &["bcd"]);
    check("twelveletter thirteenmores", &["twelveletter", "thirteenmores"]);
    check("pneumonoultramicroscopic x pneumonoultramicroscopic", &["pneumonoultramicroscopic"; 2]);
}

#[test]
fn letters_outside_ascii_end_a_run_unless_their_lower_case_is_ascii() {
    check("caf\u{e9} na\u{ef}ve stra\u{df}e", &["caf", "stra"]);
    check("\u{c9}COLE", &["cole"]);
    check("\u{41f}\u{440}\u{438}abc\u{432}\u{435}\u{442}", &["abc"]);
    check("\u{6771}\u{4eac}tokyo\u{6771}", &["tokyo"]);
    check("\u{212A}elvin \u{212A}\u{212A}\u{212A} o\u{212A} oo\u{212A}", &["kelvin", "kkk", "ook"]);
    check("\u{130}stanbul \u{130}\u{130}\u{130} Rab\u{130}", &["stanbul", "rabi"]);
    check("\u{212A}a\u{130}b xyz", &["kai", "xyz"]);
    check("\u{ff41}\u{ff42}\u{ff43}", &[]);
}

/// If Unicode gains another such letter, this fails and `lower_letters` has to know it.
#[test]
fn two_characters_have_an_ascii_lower_case() {
    let found = (0x80..=u32::from(char::MAX))
        .filter_map(char::from_u32)
        .filter(|c| c.to_lowercase().any(|lower| lower.is_ascii_lowercase()))
        .collect::<Vec<_>>();
    assert_eq!(found, ['\u{130}', '\u{212A}']);
}

#[test]
fn runs_across_blocks_are_whole() {
    for before in 50..70 {
        for length in [1, 2, 3, 11, 12, 13, 63, 64, 65, 200] {
            let run = "z".repeat(length);
            let text = format!("{}{run}.abc", " ".repeat(before));
            let mut expect = vec![run.as_str(), "abc"];
            expect.retain(|word| word.len() >= LETTERS_MIN);
            check(&text, &expect);
        }
    }
}

#[test]
fn null_gives_null_and_a_batch_has_each_word_once() {
    let text = StringViewArray::from(vec![Some("one two one"), None, Some(""), Some("Two. THREE")]);
    let list = words_encoded(&text).unwrap();
    let own = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert_eq!(lists(&list), [own(&["one", "two", "one"]), None, own(&[]), own(&["two", "three"])]);
    let encoded = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8View));
    assert_eq!(list.values().data_type(), &encoded);
    assert_eq!(list.values().as_dictionary::<UInt32Type>().values().len(), 3);
}

#[test]
fn the_sql_function_returns_what_it_declares() {
    let udf = udf();
    let declared = udf.return_type(&[DataType::Utf8View]).unwrap();
    let invoke = |argument: ColumnarValue, rows| {
        let arguments = ScalarFunctionArgs {
            args: vec![argument],
            arg_fields: vec![Arc::new(Field::new("text", DataType::Utf8View, true))],
            number_rows: rows,
            return_field: Arc::new(Field::new("words", declared.clone(), true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        udf.invoke_with_args(arguments).unwrap()
    };
    let text: ArrayRef = Arc::new(StringViewArray::from(vec![Some("one two one"), None]));
    let ColumnarValue::Array(list) = invoke(ColumnarValue::Array(text), 2) else { panic!("an array gives an array") };
    let schema = Arc::new(Schema::new(vec![Field::new("words", declared.clone(), true)]));
    RecordBatch::try_new(schema, vec![Arc::clone(&list)]).unwrap();
    let list = list.as_list::<i32>();
    assert_eq!(list.value(0).as_string_view().iter().flatten().collect::<Vec<_>>(), ["one", "two", "one"]);
    assert!(list.is_null(1));

    let ColumnarValue::Scalar(one) = invoke(ColumnarValue::Scalar(ScalarValue::Utf8View(None)), 2) else {
        panic!("a scalar gives a scalar")
    };
    assert!(one.is_null() && one.data_type() == declared);
}

#[test]
fn every_column_of_text_is_taken() {
    let text = vec![Some("red red"), None, Some("blue")];
    let expect = lists(&words_encoded(&StringViewArray::from(text.clone())).unwrap());
    let dictionary = DictionaryArray::<UInt32Type>::from_iter(text.clone());
    let columns: [ArrayRef; 2] =
        [Arc::new(catchment_contract::arrow::array::StringArray::from(text)), Arc::new(dictionary)];
    for column in columns {
        assert_eq!(lists(encoded(&column).unwrap().as_list::<i32>()), expect, "{}", column.data_type());
    }
    let numbers: ArrayRef = Arc::new(UInt32Array::from(vec![1]));
    assert_eq!(lists(encoded(&numbers).unwrap().as_list::<i32>()), [Some(vec![])]);
}

#[test]
fn random_texts_agree_with_a_regular_expression() {
    let seed = 20_260;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let reference = regex::Regex::new("[a-z]{3,}").unwrap();
    let pieces = [
        "a",
        "b",
        "Z",
        "the",
        "Word",
        "ABC",
        "\u{212A}",
        "\u{130}",
        "\u{e9}",
        "\u{3a3}",
        "\u{4eac}",
        "\u{1f525}",
        " ",
        "\n",
        "'",
        "1",
        "-",
        "internationalisation",
    ];
    for round in 0..400 {
        let texts = (0..random.random_range(0..40))
            .map(|_| {
                let length = random.random_range(0..120);
                let text = (0..length).filter_map(|_| pieces.choose(&mut random).copied()).collect::<String>();
                (random.random_range(0..10) > 0).then_some(text)
            })
            .collect::<Vec<_>>();
        let list = words_encoded(&StringViewArray::from_iter(texts.iter())).unwrap();
        let expect = texts.iter().map(|text| {
            let lower = text.as_ref()?.to_lowercase();
            Some(reference.find_iter(&lower).map(|word| word.as_str().to_owned()).collect::<Vec<_>>())
        });
        assert_eq!(lists(&list), expect.collect::<Vec<_>>(), "seed {seed}, round {round}");
    }
}
