/**
 * Words for generated names. Each has 3 to 6 letters, so that `adjective-noun-1234` keeps to 18 characters; every
 * pair must be something that one likes to be called. Add words freely, remove none lightly: 128 × 128 pairs with
 * 9,000 numbers are 27 bits, enough for a million members to meet a taken name less than once in a hundred.
 */
export const ADJECTIVES = words(`
  able agile airy alert ample artful avid azure balmy bold brave breezy bright brisk calm candid cheery
  civic classy clever comfy cosmic cozy crisp dapper daring deft eager early earthy epic equal fair fancy
  fine fleet fluent fresh funny gentle glad golden good grand green handy happy hardy hearty honest humble
  ideal indigo jaunty jolly jovial joyful keen kind lively loyal lucid lucky lunar magic mellow merry
  mighty mild modest mossy neat nice nimble noble peppy placid plucky poetic polite prime prompt proud
  quick quiet rapid ready regal robust rosy royal rustic sandy savvy serene sharp shiny silent simple smart
  snappy snug social solar solid sonic spry steady stoic sturdy subtle sunny superb swift tidy trusty
  upbeat urban vast velvet vivid warm wise witty worthy zany zen zesty
`);

export const NOUNS = words(`
  acorn alder alpaca apple aspen aurora badger bamboo basil beacon birch bison canary canoe canyon cedar
  cello clover comet condor coral cosmos coyote crane creek daisy dahlia dove dragon eagle ember falcon
  fern finch fjord flute forest fox garden gecko glade grove guitar harbor harp hawk hazel heron ibex ibis
  iris island jaguar kayak kite kiwi koala lagoon lark laurel lemon lemur lilac lily linden lion llama
  lotus lynx magpie mango maple marmot marten meadow melon meteor mint moose myrtle nebula oasis ocean
  ocelot olive opal orca orchid oriole osprey otter panda pebble piano pine planet plover poplar puffin
  puma quail quartz quokka raven river robin rocket rose spruce summit swan thrush tiger toucan tulip
  tundra turtle valley violet violin walrus willow wombat wren yarrow zebra zephyr zinnia
`);

function words(list: string): readonly string[] {
  return list.trim().split(/\s+/);
}
