package personal

// The lists below are of our own making: given and family names that are frequent
// in some twenty countries, written in ASCII and lower case, without those that
// are words of the trade (hunter, parker, chase). They only have to know the
// usual: a name behind a cue is found without them.
const (
	givenNames = `aaron adam adrian ahmed aisha alan albert alejandro aleksandr alex alexander alexandra alexei alice amanda amy
	ana anastasia andre andrea andreas andrei andrew andrey angela anja anna anne anthony antonio arjun arthur barbara
	beatriz benjamin bernd beth boris brandon brenda brian bruce camille carl carla carlos carmen carol caroline catherine
	charles chen cheng chloe christian christina christine christopher claire claudia clara craig cristina cynthia daniel
	daniela david deborah denis dennis diana diane diego dieter dimitri dirk dmitri dmitry dominik donald donna doris dorothy
	douglas edward elena elizabeth ella ellen emily emma eric erik erika ethan eugene eva evelyn fatima felix fernando
	florian francesca francesco francisco francois frank franz frederic gabriel gary george gerald gerard gerhard giovanni
	giulia giuseppe gloria gonzalo greg gregory guido gustavo hannah hans harald harold hassan heather heidi heinz helen
	helena henry hiroshi hugo hussein ibrahim ines ingrid irina isabel isabella ivan jack jacob jacques jakub james jan jane
	janet jason javier jean jeff jeffrey jennifer jeremy jerry jessica joan joao joe joerg johan johann johannes john johnny
	jonas jonathan jorge jose joseph joshua juan judith judy julia julian julie jurgen karen karin karl katarzyna kate
	katharina katherine kathleen kathryn keith kelly kenneth kevin khalid kim klaus konstantin kumar kyle larry lars laura
	lauren laurent lei leon leonardo linda lisa liu lorenzo louis louise luca lucas lucia ludwig luis lukas magdalena mahmoud
	manfred manuel marc marcel marco marcus margaret maria marie marina mario mark markus marta martha martin martina mary
	mateo matthew matthias maurice max maxim megan mehmet mei melanie melissa michael michal michel michelle miguel mikhail
	mohamed mohammad mohammed monika muhammad mustafa nadia nancy natalia natalie nathan nicholas nicola nicolas nicole nikita
	nikolai nina noah olga oliver olivia omar oscar oskar pablo pamela patricia patrick paul paula pavel pedro peter petra
	philip philippe phillip pierre piotr priya rachel rafael rahul rainer ralf ralph raymond rebecca renate ricardo richard
	robert roberto roger roland roman ronald rosa roy russell ruth ryan sabine samantha samuel sandra sara sarah scott sean
	sebastian sergei sergey sergio sharon shirley silvia simon sofia sonia sophie stefan stefano stephanie stephen steve
	steven sun susan susanne svetlana sven takashi tamara tatiana teresa terry theodor theresa thomas tim timothy tobias
	tomasz tom tony tracy ulrich ulrike ursula uwe valentina vanessa vera veronica victor victoria viktor vincent virginia
	vladimir walter wei wendy werner wilhelm william wolfgang xavier yan yasmin yuki yuri yusuf yves zhang zoe`
	familyNames = `adams aguilar ahmed albrecht ali allen almeida alvarez anderson andersson arnold bailey baker bauer baumann beck
	becker bell bennett berg berger bergmann bernard bianchi blanc boehm brandt braun brooks brown bruno bryant butler
	campbell carlson carter castillo castro chang chavez chen cheng choi clark clarke colombo cooper costa cox cruz davies
	davis delgado diaz dietrich dietz doe dubois dupont durand edwards engel ernst esposito evans fernandes fernandez ferrari
	ferreira fischer fisher flores foster fournier fox frank franke friedrich fuchs garcia garnier gomes gomez gonzales
	gonzalez graf graham gray green griffin gross gruber guerrero gupta gutierrez haas hahn hall hamilton hansen harris
	harrison hartmann hayes heinrich henderson hernandez herrera herrmann hoffmann hofmann horn huang huber hughes hussain
	ibrahim ivanov ivanova jackson jaeger jain james jansen jansson jenkins jensen jimenez johansson johnson jones jung kaiser
	kaufmann keller kelly kennedy khan kim klein koch koehler koenig kovacs kowalski kraus krause krueger kruger kuhn kumar
	kuznetsov lambert lang lange larsen larsson laurent le lee lefebvre lehmann leroy lewis li lin liu long lopez lorenz
	ludwig maier marino marshall martin martinez martins maurer mayer mcdonald medina mehta mendes mendez mendoza meyer meier
	miller mitchell moore morales moreau morgan moreno morris mueller muller murphy murray myers nagy navarro nelson neumann
	nguyen nielsen nikolaev novak nowak olsen olsson ortega ortiz otto owens park patel pavlov peeters pereira perez perry
	peters petersen peterson petit petrov petrova pfeiffer phillips pohl popov powell price ramirez ramos reed reyes reynolds
	ricci richards richardson richter rivera roberts robertson robinson rodrigues rodriguez rogers romano romero rossi roth
	roux ruiz russo ryan sanchez sanders santos sato sauer schaefer schmid schmidt schmitt schmitz schneider scholz schreiber
	schroeder schubert schulte schulz schulze schumacher schuster schwarz scott sharma silva simmons simon singh smirnov smith
	sokolov sommer sousa souza stein stewart sullivan suzuki svensson takahashi tanaka taylor thomas thompson torres tran
	tucker turner vargas vasquez vega vogel vogt volkov wagner walker wallace walter wang ward watanabe watson weber weiss
	wells werner west white williams williamson wilson winkler winter wolf wood woods wright wu xu yamamoto yang yilmaz young
	zhang zhao zhou ziegler zimmermann`
)

// cue says what a word means for the search for names.
type cue uint8

const (
	given    cue = 1 << iota
	family       // may be both
	title        // Mr, Frau, Dr: a name follows
	greeting     // Dear, Hallo: a name and a comma follow
	label        // user:, author: a name follows
	header       // From:, Cc: a name or a mail address follows
	closing      // regards: a name is on the next line
	thing        // no part of a name
)

var cueWords = func() map[string]cue {
	m := map[string]cue{}
	for _, l := range []struct {
		words string
		is    cue
	}{
		{givenNames, given},
		{familyNames, family},
		{"mr mrs ms miss mx dr prof professor sir dame herr frau herrn señor señora sr sra srta monsieur madame mme mlle signor signora dott dottore ing mister doktor sheikh", title},
		{"dear hello hi hey hola bonjour hallo liebe lieber geehrte geehrter cher chère chere estimado estimada querido querida caro cara gentile ciao", greeting},
		{"user name username login account author analyst employee contact owner operator reporter reported sender recipient victim target customer attn patient person signed holder cardholder passenger suspect student registrant accountholder actor alias developer", label},
		{"from to cc bcc sender reply-to von an de à para", header},
		{"regards sincerely wishes cheers thanks greetings thx grüßen grüße gruß cordialement saludos saluti truly faithfully respectfully", closing},
		{`academy agency airlines association authority clinic co college communications corp corporation foundation gmbh
		hospital inc industries institute limited llc ltd ministry museum networks school society solutions systems technologies
		technology telecom university admin administrator advisory alert all analysis antivirus apt attack bank best bot campaign card center centre client
		colleague colleagues command company control customer customers data defender department director dns domain edge
		everyone excel exchange express file folks friend friends group guest hash health host http https id indicator indicators
		information insider intelligence internet invoice key labs list madam mail malware manager managers media member members
		microsoft mister monday name network news office online outlook page partner partners password phishing powershell
		ransomware reader readers report research response robot root sales security server service services sir sirs site sites
		software sql subscriber support system target team teams test the threat ticket tool trojan unit unknown update user january february march april may june july august september october november december tuesday wednesday thursday friday saturday sunday
		users valued version victim watson web webmaster website windows word world`, thing},
	} {
		for w := range set(l.words) {
			m[w] |= l.is
		}
	}
	return m
}()

// particles stand inside names.
var particles = set("van von der den de da di del della la le al el bin ibn ben dos du ter ten zu zur y e")
