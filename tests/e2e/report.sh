#!/usr/bin/env bash
# Goal: `huren report` prints files and published reports, marks only what the charter
# bears out, and says what it cannot print; nothing leaves the machine.
# Method: a file without a home, the same in an alliance, the published report, refusals.
. tests/e2e/lib/common.sh
messages 3 1 --tag P >"$work/p.hl7"
id=P-3
number=$(card 3)

# Without a home: the form, no mark, and why.
code=0
alone report --html "$work/p.hl7" >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 0 ] || fail "without a home: exit $code"
out_has '检验报告单</h1>'
out_has 'marks need the charter'
out_has '<td>钾</td><td>K</td><td>4.10</td><td>mmol/L</td><td>3.5-5.3</td>'
! grep -q '★\|鄂HR' "$work/out" || fail "a mark without a charter"
alone report --html - -o "$work/p.html" --set bed_no='12<床' <"$work/p.hl7" || fail "standard input, -o"
grep -qF '床号</b>12&#60;床</div>' "$work/p.html" || fail "--set"
[ "$(stat -c %a "$work/p.html")" = 600 ] || fail "the page is open to others"
python3 - "$work/p.html" <<'P' || fail "the page is not well formed"
import html.parser, sys
class Check(html.parser.HTMLParser):
    stack = []
    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe", "form"), tag
        if tag not in ("meta", "br", "col"):
            self.stack.append(tag)
    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, tag
c = Check()
c.feed(open(sys.argv[1], encoding="utf-8").read())
assert not c.stack
P

# Refusals, one line each.
expect 2 report "$work/p.hl7"
err_lines 1
expect 2 report --html
expect 2 report --html "$work/none.hl7"
expect 2 report --html "$work/p.hl7" --set colour=red
expect 2 --home "$work/nowhere" report --html --patient "RI:$number" "$id"
err_lines 1
expect 1 report --html "$work/p.hl7" --only P-4
messages 3 2 --tag P >"$work/two.hl7"
expect 2 report --html "$work/two.hl7" --set bed_no=1
messages 3 1 --tag P --status X >"$work/x.hl7"
expect 2 report --html "$work/x.hl7"
err_has 'P-3 is not printed: was cancelled'

# In an alliance: derived marks, beside the daemon.
up 2
expect 0 --home "$A/h1" report --html "$work/two.hl7"
[ "$(grep -c '<section' "$work/out")" = 2 ] || fail "two sheets"
[ "$(grep -c '<div class="mark">鄂HR</div>' "$work/out")" = 2 ] || fail "the page's mark"
[ "$(grep -c '<span class="sign">★</span>钾' "$work/out")" = 2 ] || fail "the row's sign"
out_has '本报告仅对当前所检标本负责。项目名称前标注“★”为互认检验项目。'

# What it published, by the patient's number; a wrong one opens nothing.
expect 1 --home "$A/h1" report --html --patient "RI:$number" "$id"
[ ! -s "$work/out" ] || fail "a page of nothing"
expect 0 --home "$A/h1" import "$work/p.hl7"
expect 0 --home "$A/h1" report --html --patient "RI:$number" "$id"
out_has "病人ID</b>$number</div>"
out_has '<div class="mark">鄂HR</div>'
out_has '<span class="sign">★</span>钾</td><td>K</td><td>4.10</td>'
echo "RI:$number" | "$HUREN" --home "$A/h1" report --html --patient - "$id" -o "$work/own.html" || fail "number on standard input"
grep -q 欧阳测试 "$work/own.html" || fail "the page lacks the patient"
expect 1 --home "$A/h1" report --html --patient "RI:$(card 4)" "$id"
! grep -q "$(card 4)" "$work/err" || fail "a message names the patient"
expect 1 --home "$A/h2" report --html --patient "RI:$number" "$id" # it is h1's, not h2's
# A correction takes the place of what it corrects; a withdrawal leaves nothing.
messages 3 1 --tag P --status C --value 4.40 >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/c.hl7"
expect 0 --home "$A/h1" report --html --patient "RI:$number" "$id"
out_has '<td>4.40'
out_has '更正报告'
! grep -q '<td>4.10' "$work/out" || fail "what was corrected is printed"
expect 0 --home "$A/h1" import "$work/x.hl7"
expect 1 --home "$A/h1" report --html --patient "RI:$number" "$id"
