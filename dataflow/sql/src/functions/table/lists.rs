//! Functions of lists and maps.

use super::{Function, Kind, functions, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "array_add list_add", "list, list → list", "the sums of numbers at the same place", "they differ in length";
    "array_any_value list_any_value", "list → any", "the first element that is not null", never;
    "array_append list_append array_push_back list_push_back", "list, any → list", "with one more element behind", never;
    "array_avg list_avg", "list → float", "the average of numbers", never;
    "array_compact list_compact", "list → list", "without nulls", never;
    "array_concat array_cat list_concat list_cat", "list, … → list", "one behind the other", "there is no list";
    "array_dims list_dims", "list → list", "how long it is, at each depth", never;
    "array_distance list_distance", "list, list → float", "how far two points are from each other", "they differ in length";
    "array_distinct list_distinct", "list → list", "each element once", never;
    "array_element array_extract list_element list_extract", "list, n → any", "the n-th element, as `list[n]`; from the end where n is negative", "n does not fit 32 bits";
    "array_except list_except", "list, list → list", "elements of the first that the second has not, each once", never;
    "array_has list_has array_contains list_contains", "list, any → bool", "whether it is an element", never;
    "array_has_all list_has_all", "list, list → bool", "whether all of the second are elements of the first", bounded within Pairs;
    "array_has_any list_has_any arrays_overlap", "list, list → bool", "whether some of the second is an element of the first", bounded within Pairs;
    "array_intersect list_intersect", "list, list → list", "elements of both, each once", never;
    "array_length list_length", "list[, depth] → int", "how many elements it has", never;
    "array_max list_max", "list → any", "the greatest element", never;
    "array_min list_min", "list → any", "the least element", never;
    "array_ndims list_ndims", "list → int", "how deep it is", never;
    "array_normalize list_normalize", "list → list", "numbers divided by their length as a vector", never;
    "array_pop_back list_pop_back", "list → list", "without the last element", never;
    "array_pop_front list_pop_front", "list → list", "without the first element", never;
    "array_position list_position array_indexof list_indexof", "list, any[, from] → int", "where it first stands", "from is no place of the list";
    "array_positions list_positions", "list, any → list", "where it stands", never within Rows;
    "array_prepend list_prepend array_push_front list_push_front", "any, list → list", "with one more element in front", never;
    "array_product list_product", "list → float", "the product of numbers", never;
    "array_remove list_remove", "list, any → list", "without any such element; a null is one", never;
    "array_remove_all list_remove_all", "list, any → list", "without any such element", never;
    "array_remove_n list_remove_n", "list, any, n → list", "without the first n such elements", never;
    "array_repeat list_repeat", "any, n → list", "n times", bounded within ListRepeat;
    "array_replace list_replace", "list, from, to → list", "with all such elements replaced", never;
    "array_replace_all list_replace_all", "list, from, to → list", "with all such elements replaced", never;
    "array_replace_n list_replace_n", "list, from, to, n → list", "with the first n such elements replaced", never;
    "array_resize list_resize", "list, n[, any] → list", "n elements, filled up or cut", "n is negative" within ListResize;
    "array_reverse list_reverse", "list → list", "backwards", never;
    "array_scale list_scale", "list, float → list", "numbers times a number", never;
    "array_slice list_slice", "list, from, to[, step] → list", "a part of it, as `list[from:to]`", "a bound does not fit 32 bits, or the step is 0";
    "array_sort list_sort", "list[, order[, nulls]] → list", "in order: 'ASC' or 'DESC', 'NULLS FIRST' or 'NULLS LAST'; both must be constants", never within Order;
    "array_subtract list_subtract", "list, list → list", "the differences of numbers at the same place", "they differ in length";
    "array_sum list_sum", "list → float", "the sum of numbers", never;
    "array_to_string list_to_string array_join list_join", "list, delimiter[, null] → text", "the elements, the delimiter between them", bounded within Join;
    "array_union list_union", "list, list → list", "elements of either, each once", never;
    "arrays_zip list_zip", "list, … → list", "structs of the elements at the same place", never;
    "cardinality", "list → int", "how many elements it has, at all depths", never;
    "cosine_distance", "list, list → float", "one less the cosine between two vectors", "they differ in length";
    "empty array_empty list_empty", "list → bool", "whether it has no element", never;
    "flatten", "list → list", "the elements of its lists", never;
    "generate_series", "start, stop[, step] → list", "from start to stop, stop among them", "the step is 0" within Series;
    "inner_product dot_product", "list, list → float", "the sum of the products at the same place", "they differ in length";
    "make_array make_list", "any, … → list", "a list of them, as `[…]`", never;
    "map", "keys, values → map", "a map of two lists", "a key is null or twice there";
    "map_entries", "map → list", "structs of its keys and values", never;
    "map_extract element_at", "map, key → list", "the key's value, as a list of one or none", never;
    "map_keys", "map → list", "its keys", never;
    "map_values", "map → list", "its values", never;
    "range", "start, stop[, step] → list", "from start to stop, without stop", "the step is 0" within Series;
    "string_to_array string_to_list", "text, delimiter[, null] → list", "the parts between delimiters", bounded within Split;
};

/// What makes several rows of one.
#[rustfmt::skip]
pub(super) const ROWS: &[Function] = functions! { Kind::Rows =>
    "unnest", "list", "in the SELECT list: a row for each element";
};
